-- ask: node, force -> ok | busy | unknown; what is leased to it stays until the lease runs out
if not ask.force and redis.call("HLEN", key("leases", ask.node)) > 0 then return "busy" end
if redis.call("ZREM", key("nodes_seen"), ask.node) == 0 then return "unknown" end
redis.call("HDEL", key("nodes"), ask.node)
redis.call("HDEL", key("drained"), ask.node)
return "ok"
