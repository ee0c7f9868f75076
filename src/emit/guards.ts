/**
 * The two guards around nunjucks, which by itself prints NaN where a template reads something that is not there.
 *
 * Guard 1 walks a template's syntax tree when it is loaded: every free name must be declared. Guard 2 wraps what the template
 * is given: reading a field that is not there is an error that names it.
 * @module
 */
import nunjucks from "nunjucks";
import { Bug } from "../errors.ts";

/** A node of nunjucks' syntax tree, as far as it is looked at here. */
interface SyntaxNode {
  readonly typename: string;
  readonly fields: readonly string[];
  readonly lineno: number;
  readonly [field: string]: unknown;
}

/** A name that a template reads without binding it. */
export interface FreeName {
  readonly name: string;
  /** From 1. */
  readonly line: number;
}

/** What a template's text refers to. */
export interface TemplateNames {
  readonly free: readonly FreeName[];
  /** Templates that it includes, imports or extends. */
  readonly templates: readonly string[];
}

const parser = (nunjucks as unknown as {
  readonly parser: { parse(source: string, extensions: [], options: object): unknown };
}).parser;

/** How templates are read: blocks leave no empty lines. */
export const TEMPLATE_OPTIONS = {
  autoescape: false,
  trimBlocks: true,
  lstripBlocks: true,
} as const;

/**
 * The names that a template reads and does not bind, and the templates it pulls in.
 * @param source The template's text
 * @throws {Error} Where the text is no template
 */
export function namesOf(source: string): TemplateNames {
  const walk = new Walk();
  walk.visit(parser.parse(source, [], TEMPLATE_OPTIONS), new Set(["loop", "caller"]));
  return { free: walk.free, templates: walk.templates };
}

class Walk {
  readonly free: FreeName[] = [];
  readonly templates: string[] = [];

  visit(value: unknown, bound: Set<string>): void {
    if (Array.isArray(value)) return value.forEach((item) => this.visit(item, bound));
    if (!isNode(value)) return;
    switch (value.typename) {
      case "Symbol":
        return this.#read(value, bound);
      case "For":
      case "AsyncEach":
      case "AsyncAll":
        this.visit(value["arr"], bound);
        return this.#inner(value, {
          bound,
          names: namesIn(value["name"]),
          fields: ["body", "else_"],
        });
      case "Macro":
      case "Caller":
        return this.#macro(value, bound);
      case "Set":
        this.visit(value["value"], bound);
        this.visit(value["body"], bound);
        return namesIn(value["targets"]).forEach((name) => bound.add(name));
      case "Import":
        this.#template(value["template"], bound);
        return namesIn(value["target"]).forEach((name) => bound.add(name));
      case "FromImport":
        this.#template(value["template"], bound);
        return namesIn(value["names"]).forEach((name) => bound.add(name));
      case "Include":
      case "Extends":
        return this.#template(value["template"], bound);
      case "Filter":
      case "Is":
        return this.#filter(value, bound);
      case "Pair":
      case "KeywordArgs":
        return this.#pairs(value, bound);
      default:
        for (const field of value.fields) this.visit(value[field], bound);
    }
  }

  #read(symbol: SyntaxNode, bound: Set<string>): void {
    const name = String(symbol["value"]);
    if (!bound.has(name)) this.free.push({ name, line: symbol.lineno + 1 });
  }

  #inner(
    node: SyntaxNode,
    scope: { bound: Set<string>; names: readonly string[]; fields: readonly string[] },
  ): void {
    const inside = new Set([...scope.bound, ...scope.names]);
    for (const field of scope.fields) this.visit(node[field], inside);
  }

  #macro(macro: SyntaxNode, bound: Set<string>): void {
    for (const name of namesIn(macro["name"])) bound.add(name);
    this.#inner(macro, { bound, names: namesIn(macro["args"]), fields: ["body"] });
  }

  /** A filter's name is no variable, its arguments are. `a is divisibleby(b)` is shaped the same way. */
  #filter(node: SyntaxNode, bound: Set<string>): void {
    if (node.typename === "Filter") return this.visit(node["args"], bound);
    this.visit(node["left"], bound);
    const right = node["right"];
    if (isNode(right) && right.typename === "FunCall") this.visit(right["args"], bound);
  }

  /** Of `key=value` only the value is read. */
  #pairs(node: SyntaxNode, bound: Set<string>): void {
    if (node.typename === "Pair") return this.visit(node["value"], bound);
    this.visit(node["children"], bound);
  }

  #template(template: unknown, bound: Set<string>): void {
    if (isNode(template) && template.typename === "Literal") {
      this.templates.push(String(template["value"]));
    } else {
      this.visit(template, bound);
    }
  }
}

/** Names that a target of a loop, an assignment, an import or a macro's arguments bind. */
function namesIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(namesIn);
  if (!isNode(value)) return [];
  if (value.typename === "Symbol") return [String(value["value"])];
  if (value.typename === "Pair") {
    // `name=default` of a macro binds its key; `name as other` of an import binds both, which is harmless.
    return [...namesIn(value["key"]), ...namesIn(value["value"])];
  }
  return namesIn(value["children"]);
}

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === "object" && value !== null && "typename" in value && "fields" in value;
}

/**
 * The value in a wrapping that throws where a field is read that is not there.
 * @param value What a template is given
 * @param path Its name in messages
 */
export function strict(value: unknown, path: string): unknown {
  if (typeof value !== "object" || value === null) {
    if (value === undefined) throw new Bug(`Cannot render: ${path} is undefined`);
    if (typeof value === "number" && Number.isNaN(value)) {
      throw new Bug(`Cannot render: ${path} is not a number`);
    }
    return value;
  }
  return new Proxy(value, {
    get(target, key): unknown {
      if (typeof key === "symbol" || key === "toString" || key === "length") {
        return Reflect.get(target, key);
      }
      if (!(key in target)) {
        const known = Object.keys(target).join(", ");
        throw new Bug(`Cannot render: the template reads ${path}.${key}, there is: ${known}`);
      }
      const field: unknown = Reflect.get(target, key);
      return typeof field === "function" ? field : strict(field, `${path}.${key}`);
    },
  });
}
