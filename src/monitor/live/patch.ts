/**
 * Differences between trees of plain objects, as RFC 7386 has them: a patch has the values that are new, and null for those
 * that are gone. An array is one value. The page applies them, with this same module.
 */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };
export interface Tree {
  readonly [name: string]: Json;
}

/** Undefined: there is none. Neither tree has null but in arrays; a value that is undefined counts as absent. */
export function difference(before: object, after: object): Tree | undefined {
  const [from, to] = [before as Record<string, Json>, after as Record<string, Json>];
  const patch: Record<string, Json> = {};
  let isEmpty = true;
  const put = (name: string, value: Json): void => {
    patch[name] = value;
    isEmpty = false;
  };
  for (const name of Object.keys(to)) {
    const [was, is] = [from[name], to[name]];
    if (was === is || is === undefined) continue;
    if (isTree(was) && isTree(is)) {
      const inner = difference(was, is);
      if (inner !== undefined) put(name, inner);
    } else if (!isSame(was, is)) put(name, is);
  }
  for (const name of Object.keys(from)) if (from[name] !== undefined && to[name] === undefined) put(name, null);
  return isEmpty ? undefined : patch;
}

/** The tree with the patch. What the patch does not touch stays the same object. */
export function patched(tree: Tree, patch: Tree): Tree {
  const result: Record<string, Json> = { ...tree };
  for (const [name, value] of Object.entries(patch)) {
    const was = result[name];
    if (value === null) delete result[name];
    else result[name] = isTree(value) ? patched(isTree(was) ? was : {}, value) : value;
  }
  return result;
}

function isTree(value: Json | undefined): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSame(one: Json | undefined, other: Json): boolean {
  if (one === other) return true;
  if (!Array.isArray(one) || !Array.isArray(other)) return isTree(one) && isTree(other) && sameTrees(one, other);
  return one.length === other.length && one.every((each: Json, at) => isSame(each, other[at] as Json));
}

function sameTrees(one: Tree, other: Tree): boolean {
  return difference(one, other) === undefined;
}
