# A control that the platform does not enforce still closes a gap.
# file: assess/outlook.go
# test: ./assess TestControlsAreLabelledByRemoval
s/case enforced == condition\.False:/case false:/
