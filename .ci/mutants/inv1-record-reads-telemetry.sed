# A record element may read telemetry.
# file: assess/model.go
# test: ./assess TestTelemetryCannotEnterATrail
s/if el\.Aspect == "R" \{/if false {/
