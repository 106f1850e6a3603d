import { at, isObject, type JsonObject, text } from "../../src/core/json.ts";
import { type Answered, openRemote, type Received } from "./remote.ts";
import { carelessness, json, onlyKeys, strictObject } from "./strict.ts";
import type { Comment, Tracker, TrackerOptions } from "./tracker.ts";

const flat = (document: string): string => document.replace(/\s+/g, " ").trim();

// The two documents that there are, with everything they may ask for.
const create =
  /^mutation\(\$(\w+): CommentCreateInput!\) \{ commentCreate\(input: \$\1\) \{ success comment \{ id \} \} \}$/;
const look =
  /^query\(\$(\w+): String!, \$(\w+): String!\) \{ issue\(id: \$\1\) \{ comments\(first: (\d+), filter: \{ body: \{ contains: \$\2 \} \}\) \{ nodes \{ body \} \} \} \}$/;

/** Linear's GraphQL: an API key as it stands or a Bearer token; what fails is said in the body, with 200 or 400. */
export function openLinear({ script = [], authorization, issues }: TrackerOptions = {}): Tracker {
  const comments: Comment[] = [];
  const faults: string[] = [];
  const refuse = (code: string, message: string, status = 200): Answered =>
    json(status, { errors: [{ message, extensions: { code, type: code.toLowerCase() } }], data: null });
  const fault = (why: string): Answered => {
    faults.push(why);
    return refuse("GRAPHQL_VALIDATION_FAILED", why, 400);
  };
  const known = (issue: string): boolean => issues === undefined || issues.includes(issue);

  function made(input: JsonObject): Answered {
    onlyKeys(input, ["issueId", "body"], "the input");
    const [issue, said] = [text(input.issueId), text(input.body)];
    if (said.trim() === "") throw new Error("an empty body");
    if (!known(issue)) return refuse("INPUT_ERROR", "Entity not found: Issue");
    const id = String(10_000 + comments.length);
    comments.push({ id, issue, text: said, body: input, at: Date.now() });
    return json(200, { data: { commentCreate: { success: true, comment: { id } } } });
  }

  function answer(body: JsonObject): Answered {
    onlyKeys(body, ["query", "variables"], "the request");
    const { variables } = body;
    if (!isObject(variables)) throw new Error("no variables");
    const document = flat(text(body.query));
    const [, input] = create.exec(document) ?? [];
    if (input !== undefined) {
      onlyKeys(variables, [input], "the variables");
      const given = variables[input];
      if (!isObject(given)) throw new Error("the input is no object");
      return made(given);
    }
    const [, issue, contains, first] = look.exec(document) ?? [];
    if (issue === undefined || contains === undefined) throw new Error("a document that is not understood");
    onlyKeys(variables, [issue, contains], "the variables");
    if (!known(text(variables[issue]))) return refuse("INPUT_ERROR", "Entity not found: Issue");
    const nodes = comments
      .filter((one) => one.issue === text(at(variables, issue)) && one.text.includes(text(variables[contains])))
      .slice(0, Number(first))
      .map((one) => ({ body: one.text }));
    return json(200, { data: { issue: { comments: { nodes } } } });
  }

  const service = (request: Received): Answered => {
    if (request.method !== "POST" || request.path !== "/graphql") return { status: 404, body: "Not Found" };
    const as = request.headers.get("authorization") ?? "";
    if (authorization === undefined ? !/^(lin_api_\S+|Bearer \S+)$/.test(as) : as !== authorization) {
      return refuse("AUTHENTICATION_ERROR", "Authentication required, not authenticated", 401);
    }
    const careless = carelessness(request, "tracker");
    if (careless) return fault(careless);
    try {
      return answer(strictObject(request.text));
    } catch (error) {
      return fault(error instanceof Error ? error.message : "bad body");
    }
  };
  const { url, requests, arrived, close } = openRemote({ service, script });
  return { url, comments, requests, faults, arrived, close, [Symbol.dispose]: close };
}
