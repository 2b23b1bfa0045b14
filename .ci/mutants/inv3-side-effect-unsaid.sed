# The side effect of turning telemetry on is not observed.
# file: assess/frameworks/propositions.yaml
# test: ./assess TestControlsOnlyHelp
/id: obs-telemetry-/d
