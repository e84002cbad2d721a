/** Which links' head loadings are listed: those of the focus, the strongest first. */

/**
 * @typedef {object} HeadLoading what heads carry of a link
 * @property {string} source a node's id
 * @property {string} target a node's id
 * @property {number} [weight] of the link
 * @property {{ layer: number, head: number, value: number }[]} heads
 */

/**
 * The loadings of links at the focus; of all links where the focus has none.
 * @param {readonly HeadLoading[]} loadings
 * @param {ReadonlySet<string>} focusIds
 */
export function pickLoadings(loadings, focusIds) {
  const focused = loadings.filter(({ source, target }) => focusIds.has(source) || focusIds.has(target));
  const picked = focused.length ? focused : loadings;
  const ranked = picked.toSorted((a, b) => measureLoading(b) - measureLoading(a));
  return { ofFocus: focused.length > 0, ranked };
}

/**
 * The absolute weight of the link, or of what its heads carry where the weight is not known.
 * @param {HeadLoading} loading
 */
function measureLoading({ weight, heads }) {
  return Math.abs(weight ?? heads.reduce((sum, { value }) => sum + value, 0));
}
