SELECT count(*) FROM usage_event
