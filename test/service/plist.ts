// A property list, read as strictly as launchd would: well-formed XML of the elements that we write, nothing else.

export type Value = string | number | boolean | Value[] | { [key: string]: Value };

/** Reads an XML property list. Throws at the first thing that is not right. */
export function readPlist(xml: string): Value {
  const reader = new Reader(xml);
  reader.take('<?xml version="1.0" encoding="UTF-8"?>');
  reader.take('<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">');
  reader.take('<plist version="1.0">');
  const value = reader.value();
  reader.take("</plist>");
  reader.end();
  return value;
}

class Reader {
  readonly #xml: string;
  #at = 0;

  constructor(xml: string) {
    this.#xml = xml;
  }

  take(text: string): void {
    this.#skip();
    if (!this.#xml.startsWith(text, this.#at))
      throw new Error(`expected ${text} at ${this.#xml.slice(this.#at, this.#at + 40)}`);
    this.#at += text.length;
  }

  value(): Value {
    this.#skip();
    const tag = /<(\w+)(\/?)>/y;
    tag.lastIndex = this.#at;
    const [whole = "", name = "", closed] = tag.exec(this.#xml) ?? [];
    this.#at += whole.length;
    if (closed) {
      if (name !== "true" && name !== "false") throw new Error(`no value <${name}/>`);
      return name === "true";
    }
    if (name === "string") return this.#text(name);
    if (name === "integer") return whole10(this.#text(name));
    if (name === "array") return this.#list();
    if (name === "dict") return this.#dict();
    throw new Error(`no value at ${this.#xml.slice(this.#at, this.#at + 40)}`);
  }

  end(): void {
    this.#skip();
    if (this.#at !== this.#xml.length) throw new Error("something follows");
  }

  #list(): Value[] {
    const values: Value[] = [];
    while (!this.#ends("array")) values.push(this.value());
    return values;
  }

  #dict(): { [key: string]: Value } {
    const entries: { [key: string]: Value } = {};
    while (!this.#ends("dict")) {
      this.take("<key>");
      const key = this.#text("key");
      if (Object.hasOwn(entries, key)) throw new Error(`twice: ${key}`);
      entries[key] = this.value();
    }
    return entries;
  }

  #ends(name: string): boolean {
    this.#skip();
    if (!this.#xml.startsWith(`</${name}>`, this.#at)) return false;
    this.take(`</${name}>`);
    return true;
  }

  #text(name: string): string {
    const end = this.#xml.indexOf("<", this.#at);
    const raw = this.#xml.slice(this.#at, end);
    this.#at = end;
    this.take(`</${name}>`);
    return raw.replace(/&([^;]*);?|>/g, (whole, entity: string | undefined) => {
      const character = entities[entity ?? ""];
      if (character === undefined || !whole.endsWith(";")) throw new Error(`bare ${whole}`);
      return character;
    });
  }

  #skip(): void {
    const blank = /(?:\s+|<!--(?:(?!--)[\s\S])*-->)*/y;
    blank.lastIndex = this.#at;
    this.#at += blank.exec(this.#xml)?.[0].length ?? 0;
  }
}

const entities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function whole10(text: string): number {
  if (!/^\d+$/.test(text)) throw new Error(`no integer ${text}`);
  return Number(text);
}
