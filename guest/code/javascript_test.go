package code

import (
	"strings"
	"testing"
)

// value asserts what the last expression is shown as.
func assertValue(t *testing.T, out outcome, code, want string) {
	t.Helper()
	if out.failure != nil || out.text() != want {
		t.Errorf("%s: %q, want %q; error %+v; stderr %q", code, out.text(), want, out.failure, out.stderr)
	}
}

func TestJavaScriptKeepsStateAndShowsTheLastValue(t *testing.T) {
	_, server := machine(t)
	needs(t, "node", "--version")
	for _, one := range []struct{ code, want string }{
		{"const x = 20; let y = 1, z; function double(n) { return n * 2 } class Box { constructor(v) { this.v = v } }", ""},
		{"double(x) + 2", "42"},
		{"new Box(3).v", "3"},
		{"y += 1; y", "2"},
		{"z", ""},
		{"const x = 5; class Box {}; x", "5"},
		{"function double() { return 'again' } double()", "again"},
		{"'text'", "text"},
		{"null", "null"},
		{"for (let i = 0; i < 3; i++) i", ""},
		{"{ a: 1, b: [2] }", "{ a: 1, b: [ 2 ] }"},
		{"{ const inner = 1; inner }", ""},
		{"const { a, b: [c], ...rest } = { a: 1, b: [2], d: 3 }; [a, c, rest]", "[ 1, 2, { d: 3 } ]"},
		{"const crypto = require('crypto'); typeof crypto.createHash", "function"},
		{"#!/usr/bin/env node\n[__dirname, __filename]", "[ '/home/user', '/home/user/cell.js' ]"},
		{"export const exported = 7\nexport default function named() {}\nexported", "7"},
		{"this === globalThis", "true"},
		{"new Promise((done) => setTimeout(() => done('settled'), 10))", "settled"},
		{"async function main() { return 9 }\nmain()", "9"},
	} {
		assertValue(t, speak(t, server, "javascript", one.code), one.code, one.want)
	}
}

func TestJavaScriptAwaitsAndImports(t *testing.T) {
	_, server := machine(t)
	needs(t, "node", "--version")
	for _, one := range []struct{ code, want string }{
		{"await new Promise((r) => setTimeout(() => r('late'), 20))", "late"},
		{"(await Promise.resolve(1), 2) // a comment", "2"},
		{"import { basename, join as joined } from 'node:path'\nimport os, * as all from 'os'; basename('/a/b')", "b"},
		{"joined('a', 'b') + typeof os.cpus + typeof all.cpus", "a/bfunctionfunction"},
		{"const { sep } = await import('path'); sep", "/"},
		{"import('path').then((path) => path.sep)", "/"},
		{"let kept = await Promise.resolve(4), free; for (var i = 0, n = 2; i < n; i++) {}\nfor (var { k } of [{ k: 8 }]) {}\nif (true) { var inner = await 6 }", ""},
		{"[kept, free, i, n, k, inner]", "[ 4, undefined, 2, 2, 8, 6 ]"},
		{"const got = helper(await 1); function helper(n) { return n + 1 }\nclass Late {}\ngot", "2"},
		{"helper(2) + typeof Late", "3function"},
		{"for await (const one of [Promise.resolve(3)]) globalThis.seen = one\nseen", "3"},
		{"typeof (await fetch)", "function"},
	} {
		assertValue(t, speak(t, server, "javascript", one.code), one.code, one.want)
	}
}

func TestJavaScriptTellsErrorsWithoutItsOwnFrames(t *testing.T) {
	_, server := machine(t)
	needs(t, "node", "--version")
	for _, one := range []struct{ code, name, value, trace string }{
		{"function f() { throw new TypeError('no') }\n\nf()", "TypeError", "no", "at cell 1:3:1"},
		{"await 1\nthrow new RangeError('late')", "RangeError", "late", "at cell 2:2:7"},
		{"let x = 1\nlet = 1 1", "SyntaxError", "Unexpected token (2:8)", "let = 1 1\n        ^\nSyntaxError"},
		{"throw 'a string'", "Error", "a string", ""},
		{"await Promise.reject(new Error('rejected'))", "Error", "rejected", ""},
		{"nowhere", "ReferenceError", "nowhere is not defined", ""},
		{"require('no-such-module')", "Error", "Cannot find module 'no-such-module'", ""},
		{"import x from 'no-such-module'", "Error", "Cannot find package 'no-such-module'", ""},
		{"throw { get message() { throw 1 }, [Symbol.for('nodejs.util.inspect.custom')]() { throw 2 } }", "Error", "", ""},
	} {
		out := speak(t, server, "javascript", one.code)
		if out.failure == nil || out.failure.Name != one.name || !strings.Contains(out.failure.Value, one.value) ||
			!strings.Contains(out.failure.Traceback, one.trace) {
			t.Errorf("%s: %+v", one.code, out.failure)
		} else if strings.Contains(out.failure.Traceback, "kernel.mjs") || strings.Contains(out.failure.Traceback, "node:") {
			t.Errorf("%s: frames of the kernel's in %s", one.code, out.failure.Traceback)
		}
	}
	assertValue(t, speak(t, server, "javascript", "'alive'"), "'alive'", "alive")
}

func TestJavaScriptOutputAndDisplaysKeepTheirOrder(t *testing.T) {
	_, server := machine(t)
	needs(t, "node", "--version")
	out := speak(t, server, "javascript", `
for (let i = 0; i < 30; i++) {
  console.log("a", i)
  display(i)
  require("child_process").execSync("echo b", { stdio: "inherit" })
}
console.error("err"); process.stdout.write("raw\u2028é😀"); undefined`)
	var order, want strings.Builder
	for _, one := range out.events {
		switch one.Type {
		case "stdout":
			order.WriteString(one.Text)
		case "result":
			order.WriteString("<" + one.Text + ">\n")
		}
	}
	for i := range 30 {
		number := string(rune('0'+i/10)) + string(rune('0'+i%10))
		number = strings.TrimPrefix(number, "0")
		if number == "" {
			number = "0"
		}
		want.WriteString("a " + number + "\n<" + number + ">\nb\n")
	}
	want.WriteString("raw\u2028é😀")
	if order.String() != want.String() || out.stderr != "err\n" {
		t.Errorf("%q\n%q", order.String(), out.stderr)
	}
}

func TestJavaScriptShowsRichForms(t *testing.T) {
	_, server := machine(t)
	needs(t, "node", "--version")
	out := speak(t, server, "javascript", `
display({ html: "<b>é</b>", png: Buffer.from("png") })
display({ "text/markdown": "# m", "application/x-own": 1 })
const loop = { a: 1 }; loop.loop = loop
display(loop)
;({ rows: [1, null, "x"] })`)
	if len(out.results) != 4 || out.results[0].HTML != "<b>é</b>" || out.results[0].PNG != "cG5n" || out.results[2].JSON != nil {
		t.Fatalf("%+v %+v", out.results, out.failure)
	}
	main, _ := out.results[3].JSON.(map[string]any)
	if rows, _ := main["rows"].([]any); len(rows) != 3 || !out.results[3].Main {
		t.Errorf("%+v", out.results[3])
	}
}

func TestJavaScriptIsInterrupted(t *testing.T) {
	_, server := machine(t)
	needs(t, "node", "--version")
	speak(t, server, "javascript", "const x = 1")
	for _, code := range []string{"while (true) {}", "await new Promise(() => {})", "new Promise(() => {})", "while (true) console.log('flood')"} {
		out := runIn(t, server, map[string]any{"code": code, "language": "javascript", "timeout_ms": 300})
		if out.failure == nil || out.failure.Reason != "timed-out" || out.failure.StateLost {
			t.Errorf("%s: %+v", code, out.failure)
		}
	}
	assertValue(t, speak(t, server, "javascript", "x"), "x", "1")
	deaf := runIn(t, server, map[string]any{"code": "await 1; await null; setTimeout(() => { while (true) {} }); await new Promise(() => {})", "language": "javascript", "timeout_ms": 300})
	if deaf.failure == nil || deaf.failure.Reason != "timed-out" || !deaf.failure.StateLost {
		t.Errorf("%+v", deaf.failure)
	}
}

func TestJavaScriptSurvivesItsCallbacksAndReportsItsExit(t *testing.T) {
	_, server := machine(t)
	needs(t, "node", "--version")
	out := speak(t, server, "javascript", `
setTimeout(() => { throw new Error("thrown late") })
Promise.reject(new Error("rejected"))
await new Promise((done) => setTimeout(done, 50))
setTimeout(() => { throw new Error("between runs") }, 10); 1`)
	if out.text() != "1" || !strings.Contains(out.stderr, "thrown late") || !strings.Contains(out.stderr, "rejected") {
		t.Errorf("%+v", out)
	}
	speak(t, server, "bash", "sleep 0.3")
	if out := speak(t, server, "javascript", "2"); out.text() != "2" || !strings.Contains(out.stderr, "between runs") {
		t.Errorf("%+v", out)
	}
	out = speak(t, server, "javascript", "console.log('last words'); process.exit(3)")
	if out.failure == nil || out.failure.Name != "KernelDied" || !strings.Contains(out.failure.Value, "status 3") || out.stdout != "last words\n" {
		t.Errorf("%+v", out)
	}
	assertValue(t, speak(t, server, "javascript", "typeof out"), "typeof out", "undefined")
}

func TestTypeScriptIsStrippedOfItsTypes(t *testing.T) {
	_, server := machine(t)
	needs(t, "node", "--version")
	for _, one := range []struct{ code, want string }{
		{"interface P { readonly n: number }\ntype Q = P | undefined\nconst p: P = { n: 41 };\nfunction inc<T extends P>(q: T): number { return q.n + 1 }", ""},
		{"inc(p) as number", "42"},
		{"enum Colour { Red, Green }\nColour.Green", "1"},
		{"Colour[0]", "Red"},
		{"const q: Q = p; q!.n satisfies number", "41"},
		{"await Promise.resolve<string>('awaited')", "awaited"},
		{"import os from 'os'", ""},
		{"typeof os.cpus", "function"},
		{"abstract class A { constructor(protected readonly n: number) {} get() { return this.n } }\nclass B extends A {}\nnew B(3).get()", "3"},
	} {
		assertValue(t, speak(t, server, "typescript", one.code), one.code, one.want)
	}
	if out := speak(t, server, "typescript", "const x: = 1"); out.failure == nil || out.failure.Name != "SyntaxError" {
		t.Errorf("%+v", out.failure)
	}
}

func TestEnvironmentOfARunIsUndoneInEveryLanguage(t *testing.T) {
	_, server := machine(t)
	needs(t, "node", "--version")
	for language, code := range map[string]string{
		"python":     "import os\nprint(os.environ.get('ONCE'))",
		"javascript": "console.log(process.env.ONCE)",
		"bash":       "echo ${ONCE-none}",
	} {
		value := "a'b\"$c\n\u2028"
		during := runIn(t, server, map[string]any{"code": code, "language": language, "env_vars": map[string]string{"ONCE": value}})
		if language == "bash" {
			value = "a'b\"$c \u2028"
		}
		if during.stdout != value+"\n" {
			t.Errorf("%s: %q", language, during.stdout)
		}
		after := speak(t, server, language, code).stdout
		if after != "None\n" && after != "undefined\n" && after != "none\n" {
			t.Errorf("%s: %q", language, after)
		}
	}
}

func TestAFloodOfJavaScriptArrives(t *testing.T) {
	_, server := machine(t)
	needs(t, "node", "--version")
	out := speak(t, server, "javascript", "const line = 'x'.repeat(1e6); for (let i = 0; i < 100; i++) console.log(line); process.memoryUsage().rss < 400e6")
	if len(out.stdout) != 100*1000001 || out.text() != "true" {
		t.Errorf("%d bytes, %q", len(out.stdout), out.text())
	}
}
