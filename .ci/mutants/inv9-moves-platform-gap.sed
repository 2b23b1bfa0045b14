# A compensating control moves a platform gap.
# file: assess/eval.go
# test: ./assess TestCompensatingControlsMoveOneStep
s/a\.Answer \&\& ev\.state == stateAbsentFixable/a.Answer \&\& (ev.state == stateAbsentFixable || ev.state == stateAbsentUnfixable)/
