# The stream counts as an audit surface.
# file: assess/frameworks/predicates.yaml
# test: ./assess TestTelemetryNeverLiftsATrail
/name: p_audit_surface/,/value:/ s/value: .*/value: 'fact("audit-log-cowork-excluded") or fact("data-export-cowork-excluded") or seats_heard_ratio >= 0.95'/
