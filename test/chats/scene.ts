import type { JsonObject } from "../../src/core/json.ts";
import type { Sender } from "../../src/gateway/send.ts";
import type { Stage } from "../gateway/stage.ts";
import { type Fake, type Sending, staged } from "./sending.ts";

/** A service whose answers hang on the time. */
export interface Clocked extends Fake {
  clock: () => number;
}

/** A chat's service, and a gateway that posts to it; both keep one time. */
export interface Scene<Server extends Clocked> extends AsyncDisposable {
  chat: Server;
  stage: Stage;
  sender: Sender;
}

/** Opens a scene; ends the service with it. */
export async function sceneWith<Server extends Clocked>(
  chat: Server,
  kind: Sending<Server>,
  more: JsonObject = {},
  atOnce = 2,
): Promise<Scene<Server>> {
  const stage = await staged(chat, kind, more);
  chat.clock = stage.now;
  const sender = stage.announcing().sending({ atOnce: { each: atOnce, all: 512 } });
  const close = async (): Promise<void> => {
    await stage.close();
    chat[Symbol.dispose]();
  };
  return { chat, stage, sender, [Symbol.asyncDispose]: close };
}
