# A compensating control supports.
# file: assess/eval.go
# test: ./assess TestCompensatingControlsMoveOneStep
s/ev\.state, ev\.because = stateUnattested, "a compensating/ev.state, ev.because = stateMet, "a compensating/
