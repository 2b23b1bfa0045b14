# An attestation of operation counts in a rehearsal.
# file: assess/eval.go
# test: ./assess TestAttestedOperationWaitsInARehearsal
s/if el\.Aspect == "O" \&\& s\.sim \{/if false {/
