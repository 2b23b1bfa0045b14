# An unknown element does not count.
# file: assess/eval.go
# test: ./assess TestUnknownIsNeverSupport
s/case has\[stateUnknown\]:/case false:/
