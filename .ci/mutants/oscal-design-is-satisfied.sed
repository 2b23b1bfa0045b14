# A rehearsal reads satisfied.
# file: assess/oscal/oscal.go
# test: ./assess/oscal TestVerdictsSurviveTheCollapse
s/if o\.DesignOnly \{/if false {/
