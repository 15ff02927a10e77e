"""Code runs in each language, with what it shows, prints and fails with."""

from e2b.exceptions import NotFoundException, SandboxException, TimeoutException
from world import case, listener


@case("Python keeps its state, streams what it prints, and says what it fails with")
async def python(world):
    run = world.shared.run_code
    await world.call(run, "x = 20")
    printed, take = listener()
    wrong, take_wrong = listener()
    code = "import sys\nprint('ümlaut \\u2028')\nprint('wrong', file=sys.stderr)\nx * 2 + 2"
    execution = await world.call(run, code, on_stdout=take, on_stderr=take_wrong)
    assert execution.text == "42", execution
    assert "".join(message.line for message in printed) == "ümlaut \u2028\n", printed
    assert "".join(message.line for message in wrong) == "wrong\n" and wrong[0].error, wrong
    assert execution.logs.stdout == ["ümlaut \u2028\n"] and execution.execution_count, execution
    errors, take_error = listener()
    failed = await world.call(run, "1 / 0", on_error=take_error)
    assert failed.error.name == "ZeroDivisionError", failed
    assert "Traceback" in failed.error.traceback and len(errors) == 1, failed


@case("rich results come in their forms")
async def rich(world):
    shown, take = listener()
    code = """
import matplotlib.pyplot as plt, pandas
from IPython.display import display, HTML, JSON, Latex, Markdown, SVG
display(HTML("<b>bold</b>")); display(JSON({"a": [1]})); display(Latex("$x$")); display(Markdown("*m*"))
display(SVG("<svg xmlns='http://www.w3.org/2000/svg'/>"))
plt.plot([1, 2], [3, 4]); plt.title("a title"); plt.show()
pandas.DataFrame({"n": [1, 2]})
"""
    execution = await world.call(world.shared.run_code, code, on_result=take)
    assert execution.error is None, execution.error
    html, json, latex, markdown, svg, picture, table = execution.results
    assert html.html == "<b>bold</b>" and json.json == {"a": [1]} and latex.latex == "$x$"
    assert markdown.markdown == "*m*" and svg.svg.startswith("<svg")
    assert picture.png.startswith("iVBOR"), picture
    assert table.is_main_result and table.data == {"n": [1, 2]} and "<table" in table.html, table
    assert len(shown) == 7


@case("JavaScript, TypeScript and Bash run, too, and R says that it is not here")
async def languages(world):
    run = world.shared.run_code
    script = await world.call(run, "const a = [1, 2]; a.length + 40", language="javascript")
    assert script.text == "42", script
    typed = await world.call(run, "const b: number = 41; b + 1", language="typescript")
    assert typed.text == "42", typed
    shell = await world.call(run, "echo $((6 * 7)) $WORD", language="bash", envs={"WORD": "wörd"})
    assert "".join(shell.logs.stdout) == "42 wörd\n", shell
    missing = await world.raised(SandboxException, run, "1", language="r")
    assert "r" in str(missing), missing


@case("contexts are made, listed, restarted and removed")
async def contexts(world):
    sandbox = world.shared
    context = await world.call(sandbox.create_code_context, language="python", cwd="/tmp")
    where = await world.call(sandbox.run_code, "import os\ny = 1\nos.getcwd()", context=context)
    assert where.text == "/tmp", where
    listed = await world.call(sandbox.list_code_contexts)
    assert context.id in [each.id for each in listed], listed
    await world.call(sandbox.restart_code_context, context)
    gone = await world.call(sandbox.run_code, "y", context=context)
    assert gone.error.name == "NameError", gone
    await world.call(sandbox.remove_code_context, context)
    await world.raised((NotFoundException, SandboxException), sandbox.run_code, "1", context=context)


@case("code that takes too long is interrupted, and its context lives on")
async def takes_too_long(world):
    run = world.shared.run_code
    await world.call(run, "z = 7")
    await world.raised(TimeoutException, run, "import time\ntime.sleep(60)", timeout=1)
    assert (await world.call(run, "z")).text == "7"
