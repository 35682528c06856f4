'use strict';
/*
 * Fills in the inputs of a step: {{step_1['output'].name}}, {{step_1.name}},
 * {{trigger['output'].body}}, {{connections['id']}}, {{[1, 2]}}.
 *
 * Paths and literals are walked here.  Any other expression is JavaScript of
 * the flow's author and runs where the author's code steps run, never among
 * the engine's own objects.
 */
const TOKEN = /\s*(?:([A-Za-z_$][\w$]*)|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([[\](){}.,:]))/y;
const WORDS = { true: true, false: false, null: null, undefined };
const MAX_DEPTH = 32;

/* ---- a parser for paths and literals; throws on anything else ---- */

function tokens(text) {
	const list = [];
	TOKEN.lastIndex = 0;
	while (TOKEN.lastIndex < text.trimEnd().length) {
		const m = TOKEN.exec(text);
		if (m === null)
			throw new SyntaxError('not a path or a literal');
		const [, word, number, double, single, sign] = m;
		if (word !== undefined)
			list.push({ word });
		else if (number !== undefined)
			list.push({ literal: Number(number) });
		else if (sign !== undefined)
			list.push({ sign });
		else
			list.push({ literal: unescape(double ?? single) });
	}
	return list;
}

function unescape(s) {
	return s.replace(/\\(.)/g, (_, c) =>
		({ n: '\n', t: '\t', r: '\r' })[c] ?? c);
}

function parse(text) {
	const list = tokens(text);
	let at = 0;

	const sign = (s) => list[at]?.sign === s && (at++, true);
	const need = (s) => {
		if (!sign(s))
			throw new SyntaxError(`${s} expected`);
	};

	function value(depth) {
		const t = list[at++];
		if (t === undefined || depth > MAX_DEPTH)
			throw new SyntaxError('a value expected');
		if (t.sign === '[')
			return array(depth);
		if ('literal' in t)
			return t;
		if (t.word === undefined)
			throw new SyntaxError('a value expected');
		if (Object.hasOwn(WORDS, t.word))
			return { literal: WORDS[t.word] };
		return path(t.word, depth);
	}

	function array(depth) {
		const items = [];
		while (!sign(']')) {
			if (items.length > 0)
				need(',');
			items.push(value(depth + 1));
		}
		return { items };
	}

	function path(root, depth) {
		const keys = [];
		for (;;) {
			if (sign('.')) {
				const word = list[at++]?.word;
				if (word === undefined)
					throw new SyntaxError('a name expected');
				keys.push({ literal: word, dotted: true });
			} else if (sign('[')) {
				keys.push(value(depth + 1));
				need(']');
			} else {
				return { root, keys };
			}
		}
	}

	const node = value(0);
	if (at !== list.length)
		throw new SyntaxError('not a path or a literal');
	return node;
}

/* ---- evaluation ---- */

/* Own properties only: a flow has no business with prototypes. */
function property(object, key) {
	if (object === null || object === undefined)
		return undefined;
	if (key === 'length' && (typeof object === 'string'
	    || Array.isArray(object)))
		return object.length;
	return Object.hasOwn(Object(object), key) ? object[key] : undefined;
}

/*
 * A step is named in two styles: step['output'].x of newer flows and step.x
 * of older ones, whose output may have an "output" of its own.
 */
function ofStep(output, keys, first) {
	if (first !== 'output' || (keys[0].dotted
	    && property(output, 'output') !== undefined))
		return [output, keys];
	return [output, keys.slice(1)];
}

async function valueOf(node, scope) {
	if ('literal' in node)
		return node.literal;
	if ('items' in node)
		return Promise.all(node.items.map((n) => valueOf(n, scope)));

	let { root, keys } = node;
	let value;
	if (root === 'connections' || root === 'variables') {
		if (keys.length === 0)
			return undefined;
		value = await scope[root](await valueOf(keys[0], scope));
		keys = keys.slice(1);
	} else {
		const step = scope.step(root);
		if (step === undefined)
			return undefined;
		const first = keys.length > 0
		    ? await valueOf(keys[0], scope) : undefined;
		[value, keys] = ofStep(step.output, keys, first);
	}
	for (const key of keys)
		value = property(value, await valueOf(key, scope));
	return value;
}

/* What JavaScript sees of the steps; both styles work there too. */
function variables(scope) {
	const all = {};
	for (const [name, { output }] of Object.entries(scope.all()))
		all[name] = { output, ...output !== null
		    && typeof output === 'object' && output };
	return all;
}

async function evaluate(text, scope) {
	let node;
	try {
		node = parse(text);
	} catch {
		try {
			return await scope.javascript(text, variables(scope));
		} catch {
			return undefined;
		}
	}
	return valueOf(node, scope);
}

function asText(value) {
	if (value === undefined || value === null)
		return '';
	return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

async function resolveText(text, scope) {
	const whole = /^\{\{((?:(?!\}\}).)*)\}\}$/s.exec(text);
	if (whole !== null)
		return await evaluate(whole[1], scope) ?? '';

	const parts = text.split(/\{\{(.*?)\}\}/s);
	for (let i = 1; i < parts.length; i += 2)
		parts[i] = asText(await evaluate(parts[i], scope));
	return parts.join('');
}

/*
 * Returns `input` with every expression in it replaced.  `scope` has
 * step(name), all(), connections(id), variables(name), javascript(text, vars).
 */
async function resolve(input, scope) {
	if (typeof input === 'string')
		return input.includes('{{') ? resolveText(input, scope) : input;
	if (Array.isArray(input)) {
		const list = [];
		for (const item of input)
			list.push(await resolve(item, scope));
		return list;
	}
	if (input !== null && typeof input === 'object') {
		const object = {};
		for (const [key, item] of Object.entries(input))
			object[key] = await resolve(item, scope);
		return object;
	}
	return input;
}

/* The same scope for what is written to the log: no secrets in there. */
function censored(scope) {
	const hidden = async () => '**REDACTED**';
	return { ...scope, connections: hidden, variables: hidden };
}

module.exports = { resolve, censored, parse };
