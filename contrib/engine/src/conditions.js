'use strict';
/* The conditions of a router's branches: groups joined by or, inside by and. */

const lower = (c) => (s) => c.caseSensitive === true ? s : s.toLowerCase();

function texts(c) {
	const fold = lower(c);
	const text = (v) => fold(typeof v === 'object' && v !== null
	    ? JSON.stringify(v) : String(v ?? ''));
	return [text(c.firstValue), text(c.secondValue)];
}

function numbers(c) {
	return [Number(c.firstValue), Number(c.secondValue)];
}

function dates(c) {
	return [Date.parse(c.firstValue), Date.parse(c.secondValue)];
}

function list(v) {
	if (Array.isArray(v))
		return v;
	try {
		const parsed = JSON.parse(v);
		return Array.isArray(parsed) ? parsed : [];
	} catch {
		return [];
	}
}

function listHas(c) {
	const fold = lower(c);
	const same = (v) => typeof v === 'string' ? fold(v) : JSON.stringify(v);
	return list(c.firstValue).map(same).includes(same(c.secondValue));
}

const isEmptyText = (v) => v === undefined || v === null || v === '';
const isTrue = (v) => v === true || v === 'true';
const isFalse = (v) => v === false || v === 'false';
const exists = (v) => v !== undefined && v !== null && v !== '';

const positive = {
	TEXT_CONTAINS: (c) => { const [a, b] = texts(c); return a.includes(b); },
	TEXT_EXACTLY_MATCHES: (c) => { const [a, b] = texts(c); return a === b; },
	TEXT_STARTS_WITH: (c) => { const [a, b] = texts(c); return a.startsWith(b); },
	TEXT_ENDS_WITH: (c) => { const [a, b] = texts(c); return a.endsWith(b); },
	TEXT_IS_EMPTY: (c) => isEmptyText(c.firstValue),
	NUMBER_IS_GREATER_THAN: (c) => { const [a, b] = numbers(c); return a > b; },
	NUMBER_IS_LESS_THAN: (c) => { const [a, b] = numbers(c); return a < b; },
	NUMBER_IS_EQUAL_TO: (c) => { const [a, b] = numbers(c); return a === b; },
	BOOLEAN_IS_TRUE: (c) => isTrue(c.firstValue),
	BOOLEAN_IS_FALSE: (c) => isFalse(c.firstValue),
	DATE_IS_BEFORE: (c) => { const [a, b] = dates(c); return a < b; },
	DATE_IS_EQUAL: (c) => { const [a, b] = dates(c); return a === b; },
	DATE_IS_AFTER: (c) => { const [a, b] = dates(c); return a > b; },
	LIST_CONTAINS: listHas,
	LIST_IS_EMPTY: (c) => list(c.firstValue).length === 0,
	EXISTS: (c) => exists(c.firstValue),
};

const not = (fn) => (c) => !fn(c);

const operators = {
	...positive,
	TEXT_START_WITH: positive.TEXT_STARTS_WITH,
	TEXT_DOES_NOT_CONTAIN: not(positive.TEXT_CONTAINS),
	TEXT_DOES_NOT_EXACTLY_MATCH: not(positive.TEXT_EXACTLY_MATCHES),
	TEXT_DOES_NOT_START_WITH: not(positive.TEXT_STARTS_WITH),
	TEXT_DOES_NOT_END_WITH: not(positive.TEXT_ENDS_WITH),
	TEXT_IS_NOT_EMPTY: not(positive.TEXT_IS_EMPTY),
	LIST_DOES_NOT_CONTAIN: not(positive.LIST_CONTAINS),
	LIST_IS_NOT_EMPTY: not(positive.LIST_IS_EMPTY),
	DOES_NOT_EXIST: not(positive.EXISTS),
};

function holds(condition) {
	if (!Object.hasOwn(operators, condition.operator))
		throw new Error(`unknown condition ${condition.operator}`);
	return operators[condition.operator](condition);
}

function matches(groups) {
	return groups.some((group) => group.every(holds));
}

module.exports = { matches, operators };
