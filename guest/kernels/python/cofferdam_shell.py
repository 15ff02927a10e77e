"""IPython's shell in this process, without its terminal, history, start-up files and directories."""

import asyncio
import builtins
import os
import signal
import sys
import traceback
import types
import warnings


def import_shell():
    """IPython's shell without what only a terminal needs, which is half of its start-up."""
    spared = {}
    for name, attributes in (("IPython.terminal.embed", ("embed",)), ("jedi", ())):
        stand_in = types.ModuleType(name)
        for attribute in attributes:
            setattr(stand_in, attribute, None)
        spared[name] = stand_in
    sys.modules["IPython.terminal.embed"] = spared["IPython.terminal.embed"]
    sys.modules["jedi"] = None
    try:
        import IPython.core.interactiveshell as interactiveshell
    finally:
        for name in spared:
            sys.modules.pop(name, None)
    return interactiveshell


interactiveshell = import_shell()

from IPython.core import async_helpers  # noqa: E402
from IPython.core.displayhook import DisplayHook  # noqa: E402
from IPython.core.displaypub import DisplayPublisher  # noqa: E402
from IPython.core.formatters import DisplayFormatter  # noqa: E402
from IPython.core.profiledir import ProfileDir  # noqa: E402
from traitlets import Type  # noqa: E402
from traitlets.config import Config  # noqa: E402

from cofferdam_bundle import chart_type, cut, data_type, fields_of, figure_chart, frame_data, json_form  # noqa: E402

max_value_length = 64 * 1024
max_traceback_length = 1024 * 1024
# Types whose text is all there is to show, unless the user has registered a formatter.
simple_types = frozenset((int, float, bool, str, complex))


class Profile(ProfileDir):
    """A profile without a directory."""

    def _location_changed(self, _change):
        pass


class Formatter(DisplayFormatter):
    def format(self, obj, include=None, exclude=None):
        if type(obj) in simple_types and include is None and exclude is None:
            return {"text/plain": self.formatters["text/plain"](obj)}, {}
        bundle, metadata = super().format(obj, include=include, exclude=exclude)
        if type(obj) in (list, dict):
            bundle.setdefault("application/json", json_form(obj))
        elif bundle:
            data = frame_data(obj)
            if data is not None:
                bundle[data_type] = data
            chart = figure_chart(obj)
            if chart is not None:
                bundle[chart_type] = chart
        return bundle, metadata


class Publisher(DisplayPublisher):
    def publish(self, data, metadata=None, source=None, *, transient=None, update=False, **_options):
        if not update:
            self.shell.kernel.show(data)

    def clear_output(self, wait=False):
        pass


class Hook(DisplayHook):
    def write_output_prompt(self):
        pass

    def write_format_data(self, format_dict, md_dict=None):
        self.shell.kernel.result(format_dict)

    def finish_displayhook(self):
        pass


class Shell(interactiveshell.InteractiveShell):
    display_pub_class = Type(Publisher)
    displayhook_class = Type(Hook)
    kernel = None

    def init_display_formatter(self):
        self.display_formatter = Formatter(parent=self)
        self.configurables.append(self.display_formatter)

    def init_display_pub(self):
        self.display_pub = Publisher(parent=self, shell=self)
        self.configurables.append(self.display_pub)

    def enable_gui(self, gui=None):
        pass

    def enable_matplotlib(self, gui=None):
        """`%matplotlib`, with whatever argument: figures are shown as pictures here."""
        return "inline", "module://cofferdam_figures"

    def ask_exit(self):
        raise SystemExit(0)

    def system_piped(self, command):
        """`!command`: its output is the kernel's own, so it streams; an interrupt reaches it with the kernel."""
        self.user_ns["_exit_code"] = run_command(self.var_expand(command, depth=2))

    system_raw = system_piped
    system = system_piped

    def showtraceback(self, exc_tuple=None, *arguments, **options):
        try:
            kind, value, trace = self._get_exc_info(exc_tuple)
        except ValueError:
            return
        if isinstance(value, SystemExit):
            self.kernel.fail(value, f"SystemExit: {value}")
        elif isinstance(value, BaseExceptionGroup):
            self.kernel.fail(value)
        else:
            super().showtraceback(exc_tuple, *arguments, **options)
            if not self.kernel.failed and value is not None:
                self.kernel.fail(value)

    def _showtraceback(self, etype, evalue, stb):
        self.kernel.fail(evalue, self.InteractiveTB.stb2text(stb))

    def show_usage_error(self, exc):
        self.kernel.fail(exc, f"UsageError: {exc}")


def run_command(command):
    import subprocess

    sys.stdout.flush()
    process = subprocess.Popen(["/bin/bash", "-c", command])
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.kill()
        process.wait()
        raise


def no_input(prompt="", stream=None):
    __tracebackhide__ = True
    raise EOFError("nobody can answer: input() and getpass() are not available here")


def bare_shell():
    interactiveshell.PickleShareDB = lambda _path: {}
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "NoColor"
    config.InteractiveShell.xmode = "Context"
    config.InteractiveShell.banner1 = ""
    config.PlainTextFormatter.max_seq_length = 0
    config.Completer.use_jedi = False
    return Shell.instance(config=config, ipython_dir="", profile_dir=Profile(location="/nonexistent"))


class Kernel:
    def __init__(self, channel):
        self.channel = channel
        self.running = False
        self.failed = False
        self.process = os.getpid()
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
        os.environ["MPLBACKEND"] = "module://cofferdam_figures"
        os.environ.setdefault("PLOTLY_RENDERER", "plotly_mimetype")
        self.shell = bare_shell()
        self.shell.kernel = self
        self.shell.loop_runner = self.run_coroutine
        self.figures_png()
        builtins.input = no_input
        for message in ("To exit: use", "\nOutput cache limit"):
            warnings.filterwarnings("ignore", message=message)
        self.fflush = c_flush()
        signal.signal(signal.SIGINT, self.on_interrupt)

    def figures_png(self):
        def png(figure):
            from cofferdam_figures import shown

            return shown(figure)

        formatter = self.shell.display_formatter.formatters["image/png"]
        formatter.for_type_by_name("matplotlib.figure", "Figure", png)

    def on_interrupt(self, _number, _frame):
        __tracebackhide__ = True
        if not self.running:
            return
        if self.channel.writing:
            self.channel.interrupted = True
        else:
            raise KeyboardInterrupt

    def show(self, bundle):
        """Something displayed. Between runs nobody listens; a forked child has no line to the agent."""
        if os.getpid() != self.process:
            print(bundle.get("text/plain", ""))
        elif self.running:
            fields = fields_of(bundle)
            self.flush()
            with self.channel.lock:
                if self.running and fields:
                    self.channel.show(fields)

    def result(self, bundle):
        fields = fields_of(bundle)
        if fields:
            self.channel.hold("R", fields)

    def fail(self, error, text=None):
        """Notes the error of the run; the last one counts."""
        if not self.running:
            return
        self.failed = True
        if text is None:
            trace = error.__traceback__
            text = "".join(traceback.format_exception(type(error), error, trace and trace.tb_next))
        try:
            value = str(error)
        except Exception:  # the user's own __str__
            value = "<exception whose text cannot be made>"
        self.error = {
            "name": type(error).__name__,
            "value": cut(value, max_value_length),
            "traceback": cut(text, max_traceback_length),
        }

    def run(self, request):
        before = self.enter(request.get("envs") or {})
        self.shell.execution_count = request["count"]
        self.failed = False
        self.running = True
        try:
            try:
                self.shell.run_cell(request["code"], store_history=True)
                self.show_figures()
            finally:
                self.flush()
                self.leave(before)
                with self.channel.lock:
                    self.running = False
        except BaseException as error:  # an interrupt between the lines of IPython, or of these
            self.running = True
            self.fail(error)
            self.running = False
            self.leave(before)
        if self.failed:
            self.channel.hold("E", self.error)
        self.channel.send(".", {})

    @staticmethod
    def enter(envs):
        before = {name: os.environ.get(name) for name in envs}
        os.environ.update(envs)
        return before

    @staticmethod
    def leave(before):
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def flush(self):
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (AttributeError, ValueError, OSError):  # the user has closed or replaced it
                continue
        self.fflush(None)

    def show_figures(self):
        if "matplotlib.pyplot" not in sys.modules:
            return
        figures = sys.modules.get("cofferdam_figures")
        if figures is not None:
            try:
                figures.show()
            except Exception as error:  # a figure that cannot be drawn is an error of the cell
                self.fail(error)

    def run_coroutine(self, coroutine):
        """Runs a cell that awaits. The loop stays, and with it the tasks that the cell has left in it."""
        loop = async_helpers.get_asyncio_loop()
        asyncio.set_event_loop(loop)
        task = loop.create_task(coroutine)
        try:
            return loop.run_until_complete(task)
        except KeyboardInterrupt as error:
            if not task.done():
                task.cancel()
                loop.run_until_complete(asyncio.wait([task], timeout=0.5))
            self.fail(error, "KeyboardInterrupt")
            return task.result() if task.done() and not task.cancelled() and task.exception() is None else None

    def wait(self):
        """Lets the tasks that cells have left run on until a request comes."""
        loop = getattr(async_helpers, "_asyncio_event_loop", None)
        if loop is None or loop.is_closed() or b"\n" in self.channel.held or not asyncio.all_tasks(loop):
            return
        loop.add_reader(self.channel.input, loop.stop)
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt):  # a task that the user left behind has asked for it
            return
        finally:
            loop.remove_reader(self.channel.input)


def c_flush():
    """What C code has printed and not yet flushed must come out with its cell."""
    try:
        import ctypes

        return ctypes.PyDLL(None).fflush
    except (ImportError, OSError, AttributeError):
        return lambda _stream: None
