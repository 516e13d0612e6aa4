/*
 * A description of elements, and a patch that makes a parent's children like it. Elements that stay are kept, so that
 * focus, scroll position and what the person typed or ticked survive. Text only ever becomes text nodes and attribute
 * values, with what could mislead in it made inert: there is no way from here to markup.
 */
import { inertText } from './inertText.ts';

export interface Description {
  tag: string;
  /** What tells it from its siblings; without one, its place among those of the same tag. */
  key: string | undefined;
  attributes: Record<string, string>;
  /** A property, because the attribute is only the first value. */
  checked: boolean | undefined;
  children: (Description | string)[];
}

export type Content = Description | string | undefined | Content[];

interface Attributes {
  key?: string;
  checked?: boolean;
  [name: string]: string | boolean | undefined;
}

/** `true` sets an attribute without a value; `false` and `undefined` leave it out. */
export function h(tag: string, attributes: Attributes = {}, ...content: Content[]): Description {
  const { key, checked, ...rest } = attributes;
  return {
    tag,
    key,
    checked,
    attributes: Object.fromEntries(
      Object.entries(rest).flatMap(([name, value]) =>
        value === undefined || value === false ? [] : [[name, value === true ? '' : value]],
      ),
    ),
    children: content.flat(Infinity as 1).filter((child) => child !== undefined) as (
      | Description
      | string
    )[],
  };
}

const keys = new WeakMap<Node, string>();

export function patchChildren(parent: Element, children: (Description | string)[]): void {
  const present = new Map([...parent.childNodes].map((node) => [keys.get(node) ?? '', node]));
  const wanted = withKeys(children);
  const stay = new Set(wanted.map(([key]) => key));
  for (const node of [...parent.childNodes]) {
    const key = keys.get(node);
    if (key === undefined || !stay.has(key)) node.remove();
  }
  let place = parent.firstChild;
  for (const [key, child] of wanted) {
    const node = present.get(key) ?? create(child, key);
    if (node === place) place = node.nextSibling;
    else parent.insertBefore(node, place);
    patchNode(node, child);
  }
}

function withKeys(children: (Description | string)[]): [string, Description | string][] {
  const counts = new Map<string, number>();
  return children.map((child) => {
    const tag = typeof child === 'string' ? '#text' : child.tag;
    if (typeof child !== 'string' && child.key !== undefined) return [`${tag}=${child.key}`, child];
    const index = counts.get(tag) ?? 0;
    counts.set(tag, index + 1);
    return [`${tag}#${index}`, child];
  });
}

const svgNamespace = 'http://www.w3.org/2000/svg';

function create(child: Description | string, key: string): Node {
  const node =
    typeof child === 'string'
      ? document.createTextNode('')
      : child.tag === 'svg' || child.tag === 'path'
        ? document.createElementNS(svgNamespace, child.tag)
        : document.createElement(child.tag);
  keys.set(node, key);
  return node;
}

function patchNode(node: Node, child: Description | string): void {
  if (typeof child === 'string') {
    const text = inertText(child);
    if (node.nodeValue !== text) node.nodeValue = text;
    return;
  }
  const element = node as Element;
  patchAttributes(element, child.attributes);
  if (child.checked !== undefined) (element as HTMLInputElement).checked = child.checked;
  patchChildren(element, child.children);
}

function patchAttributes(element: Element, attributes: Record<string, string>): void {
  for (const name of element.getAttributeNames()) {
    if (!(name in attributes)) element.removeAttribute(name);
  }
  for (const [name, value] of Object.entries(attributes)) {
    const text = inertText(value);
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
}
