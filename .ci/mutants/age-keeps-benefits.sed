# An old denial becomes doubt, which reads better than the gap.
# file: scenarios/platform/lookup.go
# test: ./assess TestAgeNeverImproves
s/^\tcase bad:$/\tcase bad:\n\t\ta.Value = Unknown/
