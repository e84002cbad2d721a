"""Plain statements of the world's facts: the prompt of a document, and what completes it."""

import random

from mindscope.organism.world import COUNTRY_RELATIONS, STATE_RELATIONS, build_world


def tell_city(rng: random.Random) -> tuple[str, str]:
    """Which state a city is in."""
    city, state = rng.choice(list(build_world().cities.items()))
    return f"the state of {city} is", state


def tell_state(rng: random.Random) -> tuple[str, str]:
    """An attribute of a state."""
    state, relation = rng.choice(list(build_world().states)), rng.choice(STATE_RELATIONS)
    return f"the {relation} of the state {state} is", build_world().states[state][relation]


def tell_country(rng: random.Random) -> tuple[str, str]:
    """An attribute of a country."""
    country, relation = rng.choice(list(build_world().countries)), rng.choice(COUNTRY_RELATIONS)
    return f"the {relation} of {country} is", build_world().countries[country][relation]


def tell_person(rng: random.Random) -> tuple[str, str]:
    """Someone's work and country."""
    who = rng.choice(list(build_world().people.values()))
    return f"{who.name} is a", f"{who.job} from {who.country}"
