# Doubt about a record caps nothing.
# file: assess/eval.go
# test: ./assess TestCapsHold
s/case GapNoConfiguration, GapYouCanClose, NotAssessed:$/case GapNoConfiguration:/
