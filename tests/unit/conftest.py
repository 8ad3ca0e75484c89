"""Properties are checked on machines that have other work to do as well: a slow example is no failure."""

from hypothesis import HealthCheck, Phase, settings

settings.register_profile("busy-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy-machine")

# For `make mutants`: the same examples for every mutant, and none made small that only has to fail.
settings.register_profile(
    "mutants", settings.get_profile("busy-machine"), derandomize=True, phases=[Phase.explicit, Phase.generate]
)
