# Naming the HIPAA configuration alone slips between the records of a fact.
# file: assess/eval.go
# test: ./assess TestTheConfigurationImpliesReadiness
s/if arr := .*hipaa_configuration.*/if arr := \&s.vals[m.varIndex["arrangements"]]; false {/
