/**
 * A store: one value that is replaced as a whole, and listeners for parts of it.
 *
 * Listeners are called together after a change, once for any number of changes made until then; `schedule`
 * says when (a browser's next frame). A state is never changed in place, so it can be compared by identity
 * and handed to anything that takes snapshots.
 */

/**
 * @template {object} State
 */
export class StateStore {
  /** @type {{ keys: readonly (keyof State)[], listener: () => void }[]} */
  #subscriptions = [];
  /** @type {Set<keyof State>} */
  #changedKeys = new Set();
  /** @type {State} */
  #state;
  #schedule;

  /**
   * @param {State} state the first one
   * @param {(run: () => void) => void} schedule
   */
  constructor(state, schedule) {
    this.#state = state;
    this.#schedule = schedule;
  }

  get state() {
    return this.#state;
  }

  /** @param {Partial<State>} changes */
  update(changes) {
    const isScheduled = this.#changedKeys.size > 0;
    this.#state = { ...this.#state, ...changes };
    for (const key of /** @type {(keyof State)[]} */ (Object.keys(changes))) this.#changedKeys.add(key);
    if (!isScheduled && this.#changedKeys.size) this.#schedule(() => this.#notify());
  }

  /**
   * Call `listener` after any of `keys` has been updated, in the order of subscription.
   * @param {readonly (keyof State)[]} keys
   * @param {() => void} listener
   * @returns {() => void} ends the subscription
   */
  subscribe(keys, listener) {
    const subscription = { keys, listener };
    this.#subscriptions.push(subscription);
    return () => {
      this.#subscriptions = this.#subscriptions.filter((other) => other !== subscription);
    };
  }

  #notify() {
    const changedKeys = this.#changedKeys;
    this.#changedKeys = new Set(); // a listener's own changes belong to the next call
    for (const { keys, listener } of this.#subscriptions) {
      if (keys.some((key) => changedKeys.has(key))) listener();
    }
  }
}
