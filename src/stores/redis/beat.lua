-- ask: gateway, facts (text)
redis.call("HSET", key("gateways"), ask.gateway, ask.facts)
redis.call("ZADD", key("gateways_seen"), now, ask.gateway)
return 1
