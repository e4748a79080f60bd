-- /metrics asks at each scrape which updates failed for good.
CREATE INDEX deliveries_failed ON deliveries (id) WHERE status = 'failed';
