redis.call("SET", key("checked"), now)
return 1
