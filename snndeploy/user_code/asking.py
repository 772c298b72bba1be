"""What Python asks of an object without its hearing of it (``x is None``, ``isinstance(x, T)``): what stands in is refused there, too."""

from __future__ import annotations

import ast
from typing import Any

from snndeploy.user_code.refused import Unknown, refuse

ASKED = "__snndeploy_known__"
"""The name under which a module finds ``known``."""
UNHEARD = frozenset(["isinstance", "issubclass", "type", "callable", "id"])


def known(value: Any) -> Any:
    """The value itself. Raises ``Refused`` where it stands in for one that was not computed."""
    return refuse(value) if type(value) is Unknown else value


def asking(statement: ast.stmt) -> ast.stmt:
    """The statement, in which every object is known that is asked without hearing of it; its lines stay."""
    made: ast.stmt = ast.fix_missing_locations(_Asking().visit(statement))
    return made


class _Asking(ast.NodeTransformer):
    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        for number, operator in enumerate(node.ops):
            if isinstance(operator, ast.Is | ast.IsNot):
                node.comparators[number] = _known(node.comparators[number])
                if number == 0:
                    node.left = _known(node.left)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in UNHEARD and node.args:
            node.args[0] = _known(node.args[0])
        return node

    def visit_Match(self, node: ast.Match) -> ast.AST:
        self.generic_visit(node)
        node.subject = _known(node.subject)
        return node


def _known(node: ast.expr) -> ast.expr:
    """``known(node)``, but for what is none that stands in, or is asked already."""
    called = node.func if isinstance(node, ast.Call) else None
    if isinstance(node, ast.Constant | ast.Starred) or (isinstance(called, ast.Name) and called.id == ASKED):
        return node
    return ast.copy_location(ast.Call(ast.Name(ASKED, ast.Load()), [node], []), node)
