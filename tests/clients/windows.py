"""Reads the windows of a desktop as a screen reader does, or presses a button: a program of its own, in the user's session.

usage: windows.py                      print what shows as JSON
       windows.py press TITLE BUTTON   press a button of the window with this title
"""

import json
import sys

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi, GLib  # noqa: E402

BUTTONS = ("push button", "button")
MENUS = ("menu bar", "menu", "popup menu")


def showing(node):
    return node.get_state_set().contains(Atspi.StateType.SHOWING)


def children(node):
    for i in range(node.get_child_count()):
        child = node.get_child_at_index(i)
        if child is not None:
            yield child


def walk(node):
    """A node and all below it that shows.  What shows may stand in something that does not say that it shows."""
    todo = [node]
    while todo:
        node = todo.pop()
        try:
            if node.get_role_name() in MENUS:
                continue
            if showing(node):
                yield node
            todo += reversed(list(children(node)))
        except GLib.Error:  # it has gone
            continue


def text_of(node):
    """The text in a node; what is typed into an entry does not count."""
    if node.get_role_name() in ("entry", "password text"):
        return ""
    try:
        shown = Atspi.Text.get_text(node, 0, Atspi.Text.get_character_count(node))
    except GLib.Error:
        shown = ""
    return shown.strip("\ufffc\u200b \n") or (node.get_name() or "").strip()


def top_windows():
    for program in children(Atspi.get_desktop(0)):
        try:
            yield from [w for w in children(program) if showing(w)]
        except GLib.Error:
            continue


def described(window):
    out = {"title": window.get_name() or "", "role": window.get_role_name(), "texts": [], "buttons": []}
    for node in walk(window):
        try:
            if node.get_role_name() in BUTTONS:
                out["buttons"].append(node.get_name())
            elif node != window and text_of(node) not in out["texts"]:
                out["texts"].append(text_of(node))
        except GLib.Error:
            continue
    return out


def press(title, button):
    for window in top_windows():
        if window.get_name() == title:
            for node in walk(window):
                if node.get_role_name() in BUTTONS and node.get_name() == button:
                    return Atspi.Action.do_action(node, 0)
    return False


if __name__ == "__main__":
    if sys.argv[1:2] == ["press"]:
        sys.exit(0 if press(*sys.argv[2:]) else 1)
    json.dump([described(w) for w in top_windows()], sys.stdout)
