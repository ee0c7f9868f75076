/**
 * Finds the place of a field of the evaluated description in the text of the spec file.
 *
 * `adapt.rank` is looked up along the syntax tree: `fineTune({ adapt: paca({ rank: 16 }) })`. Builders are calls
 * with an object literal; constants of the same file are followed. Where the trail ends, the last place known is
 * given: a field that a builder filled in, or one that code computed.
 * @module
 */
import type { Node, SourceFile } from "ts-morph";
import type { Place } from "../errors.ts";

/** A field of the file. */
export interface FieldOf {
  readonly file: string;
  /** `adapt.targets[1]`; "" for the default export. */
  readonly field: string;
}

/** Fields whose name in the description differs from the one in the data. */
const RENAMED: Readonly<Record<string, readonly string[]>> = {
  "train.optimizer.beta1": ["train", "optimizer", "betas", "0"],
  "train.optimizer.beta2": ["train", "optimizer", "betas", "1"],
  "model.folder": ["folder"],
};

/**
 * Line and column of a field in a spec file.
 * @param text The file's text
 * @param of The file's path and the field
 */
export async function locate(text: string, { file, field }: FieldOf): Promise<Place> {
  const { Project, Node } = await import("ts-morph");
  const project = new Project({ useInMemoryFileSystem: true });
  const source = project.createSourceFile("/spec.ts", text);
  const keys = RENAMED[field] ?? field.split(/[.[\]]+/).filter((key) => key !== "");
  const node = walk(Node, { source, keys });
  const named = field === "" ? {} : { field };
  if (node === undefined) return { file, ...named };
  const { line, column } = source.getLineAndColumnAtPos(node.getStart());
  return { file, line, column, ...named };
}

type NodeKinds = typeof import("ts-morph").Node;

function walk(
  kinds: NodeKinds,
  { source, keys }: { readonly source: SourceFile; readonly keys: readonly string[] },
): Node | undefined {
  const exported = source.getExportAssignment((node) => !node.isExportEquals());
  if (exported === undefined) return undefined;
  let place: Node = exported;
  let value: Node | undefined = exported.getExpression();
  for (const key of keys) {
    const found: { place: Node; value: Node } | undefined = member(kinds, {
      value: resolve(kinds, value),
      key,
    });
    if (found === undefined) return place;
    ({ place, value } = found);
  }
  return place;
}

/** What an expression is in the end: parentheses and casts removed, constants of the file followed. */
function resolve(kinds: NodeKinds, value: Node | undefined): Node | undefined {
  let node = value;
  for (let hops = 0; node !== undefined && hops < 32; hops++) {
    if (
      kinds.isParenthesizedExpression(node) || kinds.isAsExpression(node) ||
      kinds.isSatisfiesExpression(node)
    ) node = node.getExpression();
    else if (kinds.isIdentifier(node)) {
      node = node.getSourceFile().getVariableDeclaration(node.getText())?.getInitializer();
    } else return node;
  }
  return node;
}

function member(
  kinds: NodeKinds,
  { value, key }: { readonly value: Node | undefined; readonly key: string },
): { place: Node; value: Node } | undefined {
  if (value === undefined) return undefined;
  if (kinds.isCallExpression(value)) {
    const [first] = value.getArguments();
    // fromPretrained("…") takes its one field as a string; every other builder takes an object.
    if (key === "source" && first !== undefined) return { place: first, value: first };
    return member(kinds, { value: resolve(kinds, first), key });
  }
  if (kinds.isArrayLiteralExpression(value)) {
    const element = value.getElements().at(Number(key));
    return element === undefined ? undefined : { place: element, value: element };
  }
  if (!kinds.isObjectLiteralExpression(value)) return undefined;
  const property = value.getProperty(key);
  if (property === undefined) return spread(kinds, { value, key });
  if (kinds.isPropertyAssignment(property)) {
    return { place: property, value: property.getInitializerOrThrow() };
  }
  if (kinds.isShorthandPropertyAssignment(property)) {
    return { place: property, value: property.getNameNode() };
  }
  return undefined;
}

function spread(
  kinds: NodeKinds,
  { value, key }: { readonly value: Node; readonly key: string },
): { place: Node; value: Node } | undefined {
  if (!kinds.isObjectLiteralExpression(value)) return undefined;
  for (const property of value.getProperties().reverse()) {
    if (!kinds.isSpreadAssignment(property)) continue;
    const found = member(kinds, { value: resolve(kinds, property.getExpression()), key });
    if (found !== undefined) return found;
  }
  return undefined;
}
