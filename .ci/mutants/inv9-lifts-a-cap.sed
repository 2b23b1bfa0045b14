# A compensating control on a record lifts the cap of what rests on it.
# file: assess/eval.go
# test: ./assess TestACompensatingControlLiftsNoCap
s/combine\(has\), combine\(bare\)/combine(has), combine(has)/
