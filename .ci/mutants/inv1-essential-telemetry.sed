# A formal-trail obligation may rest on a telemetry element.
# file: assess/model.go
# test: ./assess TestTelemetryCannotEnterATrail
s/if o\.Trail \&\& essential \&\& el\.Source == "telemetry"/if false/
