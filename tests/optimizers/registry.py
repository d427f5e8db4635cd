"""Every optimizer of the package, finished, for tests that hold for all of them."""

from jaxcalc import optimizers

FINISHED = {
    name: getattr(optimizers, name)()
    for name in optimizers.__all__
    if name[0].islower() and not name.startswith("scale_by_")
}
# These ask for a residual, and see nothing but sums of squares.
LEAST_SQUARES = {"gauss_newton", "levenberg_marquardt"}
GENERAL = {name: o for name, o in FINISHED.items() if name not in LEAST_SQUARES}
