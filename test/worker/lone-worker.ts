import { startWorker, type NodeOptions } from "../../src/worker/worker.ts";
import { MemoryStore } from "./memory-store.ts";

// A worker in a process of its own, with one task, for a test that kills it. Its node is the first argument.
const node: NodeOptions = JSON.parse(process.argv[2] ?? "{}");
const store = new MemoryStore();
store.add({ script: "build" });
await startWorker({ store, node }).done;
