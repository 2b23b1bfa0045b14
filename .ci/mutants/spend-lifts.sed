# A spend limit lifts a control.
# file: assess/frameworks/elements.yaml
# test: ./assess TestSpendLiftsNothing
s/met: 'otel_on and silence_rule_on'/met: 'otel_on and silence_rule_on or limits_set'/
