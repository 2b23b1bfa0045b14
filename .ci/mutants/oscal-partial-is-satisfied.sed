# Partly supported reads satisfied.
# file: assess/oscal/oscal.go
# test: ./assess/oscal TestVerdictsSurviveTheCollapse
s/if o\.Verdict == assess\.Supported \{/if o.Verdict == assess.Supported || o.Verdict == assess.PartlySupported {/
