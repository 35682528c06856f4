'use strict';
const test = require('node:test');
const assert = require('node:assert');
const { resolve, censored } = require('../src/expr');
const { operators } = require('../src/conditions');

const steps = {
	trigger: { output: { body: { name: 'Ann', list: [1, 2] } } },
	step_1: { output: { x: 5, output: { x: 6 } } },
	step_2: { output: 'text' },
};
const scope = {
	step: (name) => steps[name],
	all: () => steps,
	connections: async (id) => ({ key: `secret of ${id}` }),
	variables: async (name) => `variable ${name}`,
	javascript: async (text) => `js:${text}`,
};

const cases = [
	['plain', 'plain'],
	["{{trigger['output'].body.name}}", 'Ann'],
	['{{ trigger.body.name }}', 'Ann'],
	["{{trigger['output']['body'].list[1]}}", 2],
	["{{trigger['output'].body.list}}", [1, 2]],
	["{{trigger['output'].body.list.length}}", 2],
	['{{step_1.x}}', 5],
	['{{step_1.output.x}}', 6],
	["{{step_1['output'].x}}", 5],
	['{{step_2.output}}', 'text'],
	["{{step_2['output']}}", 'text'],
	["{{trigger['output'].body.list[step_1.missing]}}", ''],
	['{{[1,"two",step_1.x]}}', [1, 'two', 5]],
	['{{-1.5e3}}', -1500],
	['{{true}}', true],
	['{{"a\\"b"}}', 'a"b'],
	['{{nothing.here}}', ''],
	['{{step_1.constructor}}', ''],
	['{{step_1.__proto__}}', ''],
	['{{1 + 1}}', 'js:1 + 1'],
	['a {{step_1.x}} b {{trigger.body.list}}', 'a 5 b [1,2]'],
	["{{connections['c1'].key}}", 'secret of c1'],
	["{{variables['v']}}", 'variable v'],
];

for (const [text, want] of cases)
	test(`expression ${text}`, async () => {
		assert.deepStrictEqual(await resolve(text, scope), want);
	});

test('inputs are resolved at every depth', async () => {
	assert.deepStrictEqual(await resolve({ a: ['{{step_1.x}}', 1, null] },
	    scope), { a: [5, 1, null] });
});

test('the log sees no connection', async () => {
	assert.deepStrictEqual(await resolve({ auth: "{{connections['c1']}}",
	    t: "x{{connections['c1'].key}}" }, censored(scope)),
	    { auth: '**REDACTED**', t: 'x' });
});

const conditions = [
	['TEXT_CONTAINS', 'Hello', 'ELL', true],
	['TEXT_DOES_NOT_CONTAIN', 'Hello', 'x', true],
	['TEXT_START_WITH', 'abc', 'b', false],
	['NUMBER_IS_GREATER_THAN', '10', '9', true],
	['BOOLEAN_IS_TRUE', 'true', undefined, true],
	['DATE_IS_AFTER', '2026-01-02', '2026-01-01', true],
	['LIST_CONTAINS', '["a"]', 'A', true],
	['LIST_IS_EMPTY', [], undefined, true],
	['EXISTS', '', undefined, false],
	['DOES_NOT_EXIST', undefined, undefined, true],
];

for (const [operator, firstValue, secondValue, want] of conditions)
	test(`condition ${operator}`, () => {
		assert.strictEqual(operators[operator]({ operator, firstValue,
		    secondValue }), want);
	});
