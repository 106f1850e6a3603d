-- ask: run_id -> its state, or ""
return field(key("run", ask.run_id), "state") or ""
