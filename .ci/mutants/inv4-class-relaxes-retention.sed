# Card data lowers what retention asks.
# file: assess/frameworks/elements.yaml
# test: ./assess TestMoreDataNeverImproves
s/siem_days >= required_days and \(not chd_present or siem_hot_days >= 90\)/chd_present or siem_days >= required_days/
