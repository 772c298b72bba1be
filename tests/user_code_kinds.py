"""Kinds of module level code: what ``f`` (or what stands behind ``->``) gives of the first file, ``a.py``, or why it is refused.

A line ``#: name.py`` begins another file beside it. Every one that would write, train, parse or end the program shows it did not.
"""

GIVES = {
    "plain": (4, """
T = 4
def f(): return T
"""),
    "train not run": (1, """
def f(): return 1
for i in range(3):
    open('x','w').write('y')
print('hi')
import sys
sys.exit(3)
"""),
    "args empty list": (4, """
import argparse
p = argparse.ArgumentParser()
p.add_argument('--T', default=4)
args = p.parse_args([])
def f(): return args.T
"""),
    "args unneeded": (5, """
import argparse
p = argparse.ArgumentParser()
args = p.parse_args()
N = args.n
def g(): return args.T
def f(): return 5
"""),
    "env": (4, """
import os
T = int(os.environ.get('NOPE', 4))
def f(): return T
"""),
    "dict": (12, """
CFG = dict(T=3)
CFG['U'] = 4
CFG.update(V=5)
def f(): return sum(CFG.values())
"""),
    "loops": ([0, 1, 2], """
L = []
for i in range(3):
    print('no')
    L.append(i)
def f(): return L
"""),
    "while": (10, """
x = 0
while True:
    print(x)
    x += 1
    if x >= 10:
        break
def f(): return x
"""),
    "aug": (7, """
x = 3
x += 4
def f(): return x
"""),
    "unpack": (3, """
(a, b), *c = (1, 2), 3, 4
def f(): return a + b
"""),
    "with": (5, """
import contextlib
with contextlib.suppress(ValueError) as q:
    print('x')
    K = 5
def f(): return K
"""),
    "walrus": (6, """
if (n := 6) > 3:
    print('x')
def f(): return n
"""),
    "lambda": (9, """
k = 3
g = lambda x: x * k
def f(): return g(3)
"""),
    "try import": (2, """
try:
    import nonexistent_xyz as z
except ImportError:
    z = None
    print('no z')
def f(): return 2 if z is None else 3
"""),
    "missing import unneeded": (1, """
import wandb_nope
def f(): return 1
"""),
    "type checking": (1, """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import nope
def f(x: 'nope.X' = None): return 1
"""),
    "if else class": ('B', """
import sys
if sys.platform == 'none':
    class A:
        n = 'A'
else:
    class A:
        n = 'B'
def f(): return A().n
"""),
    "main guard": (1, """
def f(): return 1
if __name__ == '__main__':
    open('z', 'w')
"""),
    "sibling": (4, """
from model import T
def f(): return T
#: model.py
open('x', 'w').write('bad')
T = 4
"""),
    "sibling func": (8, """
from model import g
def f(): return g()
#: model.py
import argparse
args = argparse.ArgumentParser().parse_args()
K = 8
def g(): return K
print(args)
"""),
    "sibling attr": (8, """
import model
def f(): return model.g()
#: model.py
K = 8
def g(): return K
raise SystemExit(3)
"""),
    "sibling star": (8, """
from model import *
def f(): return g()
#: model.py
K = 8
def g(): return K
raise SystemExit(3)
open('h','w')
"""),
    "star all": (8, """
from model import *
def f(): return g()
#: model.py
__all__ = ['g']
K = 8
def g(): return K
open('h','w')
"""),
    "package": (5, """
from pkg.sub import g
def f(): return g()
#: pkg/__init__.py
open('q','w')
#: pkg/sub.py
from .other import Z
def g(): return Z
#: pkg/other.py
Z = 5
print(1)
"""),
    "namespace": (5, """
from pk.sub import g
def f(): return g()
#: pk/sub.py
from pk.other import Z
def g(): return Z
open('r','w')
#: pk/other.py
Z = 5
print(1)
"""),
    "pkg submodule": (5, """
from pkg import sub
def f(): return sub.g()
#: pkg/__init__.py

#: pkg/sub.py
def g(): return 5
open('l','w')
"""),
    "import dotted": (5, """
import pkg.sub
def f(): return pkg.sub.g()
#: pkg/__init__.py

#: pkg/sub.py
def g(): return 5
open('l','w')
"""),
    "sys.path": (5, """
import sys, os
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'src'))
from thing import g
def f(): return g()
#: src/thing.py
def g(): return 5
open('l','w')
"""),
    "sys.path if": (5, """
import sys, os
R = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'src')
if R not in sys.path:
    sys.path.insert(0, R)
from thing import g
def f(): return g()
#: src/thing.py
def g(): return 5
open('l','w')
"""),
    "registry": (['A', 'B'], """
R = {}
def reg(n):
    def deco(c):
        R[n] = c
        return c
    return deco
@reg('A')
class A: pass
@reg('B')
class B: pass
def f(): return sorted(R)
"""),
    "registry obj": (['A'], """
class Reg:
    def __init__(self): self.d = {}
    def __call__(self, c):
        self.d[c.__name__] = c
        return c
R = Reg()
@R
class A: pass
def f(): return sorted(R.d)
"""),
    "registry sibling": (['A'], """
from reg import R
import nets
def f(): return sorted(R)
#: reg.py
R = {}
def register(c):
    R[c.__name__] = c
    return c
#: nets.py
from reg import register
@register
class A: pass
open('j','w')
"""),
    "register call": (['A'], """
R = {}
def reg(n, c): R[n] = c
class A: pass
reg('A', A)
def f(): return sorted(R)
"""),
    "init_subclass": (['A'], """
class Base:
    all = []
    def __init_subclass__(cls): Base.all.append(cls.__name__)
class A(Base): pass
def f(): return Base.all
"""),
    "globals()": ('A', """
class A:
    n = 'A'
def f(): return globals()['A'].n
"""),
    "globals() const": (7, """
K = 7
class A:
    def n(self): return K
def f(): return globals()['A']().n()
"""),
    "global func": (3, """
def setup():
    global X
    X = 3
setup()
def f(): return X
"""),
    "global counter": (1, """
c = 0
def f():
    global c
    c += 1
    return c
"""),
    "left out": ([1], """
def tune(m): pass
m = [1]
tune(m)
def f(): return m
"""),
    "dataclass": (3, """
from __future__ import annotations
from dataclasses import dataclass, field
@dataclass
class C:
    a: int = 3
    b: list[int] = field(default_factory=list)
def f(): return C().a
"""),
    "enum": (2, """
from enum import Enum
class E(Enum):
    A = 1
    B = 2
def f(): return E.B.value
"""),
    "namedtuple": (2, """
from collections import namedtuple
S = namedtuple('S', 'a b')
def f(): return S(1, 2).b
"""),
    "partial": (3, """
from functools import partial
g = partial(max, 3)
def f(): return g(1)
"""),
    "rebind": (2, """
A = 1
B = A
A = 2
def f(): return A + 0 if B == 1 else -1
"""),
    "del": (3, """
for i in range(3):
    K = i + 1
del i
def f(): return K
"""),
    "class attr T": (4, """
T = 4
class N:
    T = T
def f(): return N.T
"""),
    "nested use": (4, """
T = 4
class N:
    def g(self):
        def h(): return [T for _ in range(1)]
        return h()
def f(): return N().g()[0]
"""),
    "builtin in loop": (6, """
for input, sum in [(1, 2)]:
    pass
def f(): return sum([1, 2, 3])
"""),
    "expr match": (2, """
match 3:
    case 3:
        K = 2
    case _:
        K = 1
def f(): return K
"""),
    "constant root -> data": ([1, 2], """
data = [1, 2]
print(data)
"""),
    "setattr": (5, """
class N: pass
N.k = 5
setattr(N, 'j', 6)
def f(): return N.k
"""),
    "monkey later": (6, """
class N:
    def g(self): return 5
def h(self): return 6
N.g = h
def f(): return N().g()
"""),
    "import attr ok": (1, """
import os
import sys
os.environ['ZZ'] = sys.argv[1]
def f(): return 1 if os.path else 2
"""),
    "circular": (3, """
from b import g
K = 3
def f(): return g()
#: b.py
def g():
    from a import K
    return K
"""),
    "circular top": (3, """
from b import g
K = 3
def f(): return g()
#: b.py
from a import K
def g(): return K
"""),
    "two branches import": (4, """
import sys
if sys.maxsize > 0:
    from m1 import g
else:
    from m2 import g
def f(): return g()
#: m1.py
def g(): return 4
#: m2.py
def g(): return 5
"""),
    "default arg": (4, """
T = 4
def f(t=T): return t
"""),
    "annotated": (4, """
T: int = 4
U: int
def f() -> int: return T
"""),
    "logging": (1, """
import logging
log = logging.getLogger(__name__)
logging.basicConfig(filename='x.log')
def f():
    log.info('hi')
    return 1
"""),
    "comp": (6, """
B = [2, 4]
L = [b + 1 for b in B if b > 2]
D = {b: (lambda: b)() for b in B}
def f(): return sum(L) + 1
"""),
    "try finally": (3, """
try:
    K = 3
finally:
    print('x')
def f(): return K
"""),
    "reg class sibling": (['A'], """
from reg import Base
import nets
def f(): return Base.all
#: reg.py
class Base:
    all = []
    def __init_subclass__(cls): Base.all.append(cls.__name__)
#: nets.py
from reg import Base
class A(Base): pass
open('j','w')
"""),
    "class used as config": (20, """
class Config:
    T = 10
    lr = 0.1
cfg = Config()
cfg.T = 20
print(cfg)
def f(): return cfg.T
"""),
    "vars const": (3, """
import os.path as osp
HERE = osp.dirname(osp.abspath(__file__))
K = len([HERE]) + 2
def f(): return K
"""),
    "import in function": (5, """
def f():
    from model import K
    return K
#: model.py
K = 5
open('x','w')
"""),
    "importlib": (5, """
import importlib
def f():
    return importlib.import_module('model').K
#: model.py
K = 5
open('x','w')
"""),
    "argparse in main()": (5, """
import argparse
def get():
    p = argparse.ArgumentParser()
    return p.parse_args()
def main():
    args = get()
    print(args)
main()
def f(): return 5
"""),
    "stdlib name sibling": (5, """
from queue_like import K
from utils import J
def f(): return K + J
#: queue_like.py
K = 3
#: utils.py
J = 2
import os
os.makedirs('out')
"""),
    "seed": (1, """
import random
random.seed(0)
x = random.random()
def f(): return 1 if x else 0
"""),
    "type alias": (1, """
from typing import Union
U = Union[int, str]
def f(x: U = 1) -> U: return x
"""),
    "decorated fn": (4, """
import functools
def twice(g):
    @functools.wraps(g)
    def h(*a): return 2 * g(*a)
    return h
@twice
def f(): return 2
"""),
    "contextmanager": (4, """
from contextlib import contextmanager
K = 4
@contextmanager
def c():
    yield K
def f():
    with c() as k: return k
"""),
    "exec global": (4, """
exec('K = 4')
def f(): return K
"""),
    "loop classes": (['N1', 'N2'], """
C = {}
for n in ('N1', 'N2'):
    C[n] = type(n, (), {})
def f(): return sorted(C)
"""),
    "globals assign": (3, """
for n in ('a', 'b'):
    globals()[n] = 3
def f(): return a
"""),
    "nested if": (3, """
import sys
if sys.maxsize:
    if not sys.maxsize:
        sys.exit(1)
    try:
        K = 3
    except ValueError:
        K = 4
def f(): return K
"""),
    "del config": (3, """
CFG = {'a': 3, 'b': 4}
del CFG['b']
def f(): return sum(CFG.values())
"""),
    "chained": (3, """
A = B = [1]
B.append(2)
def f(): return sum(A)
"""),
    "alias loop": (4, """
class M:
    t = 1
L = [M(), M()]
for m in L:
    print(m)
    m.t = 2
def f(): return sum(m.t for m in L)
"""),
    "alias": (3, """
A = [1]
B = A
B.append(2)
def f(): return sum(A)
"""),
    "globals update": (3, """
globals().update(a=3)
def f(): return a
"""),
    "dunder": (3, """
import m
def f(): return m.__version__
#: m.py
__version__ = 3
"""),
    "circular, the same class": (True, """
class A: pass
from b import g
def f(): return g() is A
#: b.py
def g():
    import a
    return a.A
"""),
    "a file that is not read": (4, """
def cfg(p=None):
    if p:
        return open(p).read()
    return 4
T = cfg()
def f(): return T
"""),
    "loud neighbours of neighbours": (6, """
from one import h
def f(): return h(2)
#: one.py
from two import *
raise RuntimeError("never")
def h(x): return x * FACTOR
#: two.py
import sys
sys.exit(1)
FACTOR = 3
"""),
    "parts in a loop": ([2, 2], """
class M:
    t = 1
class N:
    def __init__(self): self.m = [M(), M()]
    def modules(self): return self.m
net = N()
for part in net.modules():
    part.t = 2
def f(): return [m.t for m in net.m]
"""),
    "changed by a function": (3, """
def grow(l, n):
    l.append(n)
L = [1]
grow(L, 2)
def f(): return sum(L)
"""),
    "try/else": (2, """
try:
    import json
except ImportError:
    K = 1
else:
    K = 2
def f(): return K
"""),
    "nested with open else": (5, """
K = 5
with open('log.txt', 'w') as h:
    h.write('x')
def f(): return K
"""),
    "main call binds": (1, """
def main():
    global net
    net = 3
    open('x', 'w').close()
    return 0
main()
def f(): return 1
"""),
    "threads": (1, """
import threading
t = threading.Thread(target=lambda: open('x','w'))
t.start()
t.join()
def f(): return 1
"""),
    "sibling importing arch back": (7, """
from model import Net
T = 7
def f(): return Net().t()
#: model.py
class Net:
    def t(self):
        from a import T
        return T
"""),
    "class var mutated": (5, """
class C:
    reg = []
C.reg.append(5)
def f(): return C.reg[0]
"""),
    "assign tuple dict": (9, """
cfg = {}
cfg['a'], cfg['b'] = 4, 5
def f(): return sum(cfg.values())
"""),
    "sys.exit if": (1, """
import sys
if len(sys.argv) < 2:
    print('usage')
    sys.exit(1)
T = int(sys.argv[1])
def f(): return 1
"""),
    "singledispatch": (2, """
from functools import singledispatch
@singledispatch
def g(x): return 1
@g.register
def _(x: int): return 2
def f(): return g(3)
"""),
    "property setter": (4, """
class C:
    @property
    def t(self): return self._t
    @t.setter
    def t(self, v): self._t = v
c = C()
c.t = 4
def f(): return c.t
"""),
}  # fmt: skip
"""Kind -> what is given, and the files."""
REFUSES = {
    "args needed": ('`args = p.parse_args()` depends on the arguments', """
import argparse
p = argparse.ArgumentParser()
p.add_argument('--T', default=4)
args = p.parse_args()
def f(): return args.T
"""),
    "swallowed": ('depends on the arg', """
import argparse
p = argparse.ArgumentParser()
args = p.parse_args()
def f():
    try:
        return args.T
    except Exception:
        return 4
"""),
    "helper args": ('depends on the arg', """
import argparse
def get():
    return argparse.ArgumentParser().parse_args()
args = get()
def f(): return args.T
"""),
    "json file": ('a.py:2', """
import json
CFG = json.load(open('c.json'))
def f(): return CFG
"""),
    "json with": ('a.py:2', """
import json
with open('c.json') as h:
    CFG = json.load(h)
def f(): return CFG
"""),
    "np.load": ('reads the file x.npy', """
import numpy as np
X = np.load('x.npy')
def f(): return X.shape
"""),
    "np.load swallowed": ('reads the file x.npy', """
import numpy as np
try:
    X = np.load('x.npy')
except Exception:
    X = None
def f(): return X.shape
"""),
    "pathlib": ('reads the file c.txt', """
from pathlib import Path
X = Path('c.txt').read_text()
def f(): return X.strip()
"""),
    "sys.argv": ('a.py:2', """
import sys
T = int(sys.argv[1])
def f(): return T + 1
"""),
    "missing import needed": ("No module named 'wandb_nope'", """
import wandb_nope
def f(): return wandb_nope.x
"""),
    "main only": ('only where the file is run', """
if __name__ == '__main__':
    T = 3
def f(): return T + 1
"""),
    "root main only -> net": ('only where the file is run', """
if __name__ == '__main__':
    net = 3
"""),
    "sibling arg": ('model.py:2', """
from model import T
def f(): return T + 1
#: model.py
import sys
T = int(sys.argv[1])
"""),
    "train result": ('trains', """
def train(m):
    m.backward()
    return m
m = train(3)
def f(): return m + 1
"""),
    "exit in ctor": ('ends the program', """
import sys
def f(): sys.exit(0)
"""),
    "exit needed": ('ends the program', """
import sys
def g(): sys.exit(0)
T = g()
def f(): return T + 1
"""),
    "cond exp": ('reads or writes', """
import os
T = int(open('t').read()) if os.path.exists('a.py') else 4
def f(): return T + 1
"""),
    "subprocess": ('starts another', """
import subprocess
H = subprocess.check_output(['true'])
def f(): return H.decode()
"""),
    "listdir": ('reads a folder', """
import os
C = sorted(os.listdir('.'))
def f(): return len(C)
"""),
    "mkdir": ('changes files', """
import os
def mk():
    os.makedirs('out')
    return 'out'
O = mk()
def f(): return O.upper()
"""),
    "syntax": ('SyntaxError', """
def f(:
"""),
    "raise handler": ('install foo', """
try:
    import foo_nope
except ImportError:
    raise RuntimeError('install foo')
def f(): return foo_nope.x
"""),
    "conditional const by arg": ('a.py:3', """
import argparse
p = argparse.ArgumentParser()
args = p.parse_args()
if args.x:
    T = 4
else:
    T = 5
def f(): return T + 0
"""),
    "ternary arg default": ('a.py:2', """
import sys
T = int(sys.argv[1]) if len(sys.argv) > 1 else 4
def f(): return T + 0
"""),
    "open in class -> C": ('reads or writes', """
class C:
    x = open('z').read()
"""),
    "base exception": ("MyExit: x", """
class MyExit(BaseException): pass
def f(): raise MyExit('x')
"""),
    "a neighbour that does not parse": ("b.py:1: SyntaxError", """
from b import g
def f(): return g()
#: b.py
def g(:
"""),
    "opts obj": ('depends on the arguments', """
import argparse
class Opt:
    def __init__(self):
        self.p = argparse.ArgumentParser()
    def parse(self): return self.p.parse_args()
opt = Opt().parse()
T = opt.T
def f(): return T + 1
"""),
    "argv star": ('depends on the arg', """
from sys import argv
T = argv[1] if len(argv) > 1 else 4
def f(): return T + 1
"""),
    "main returns": ('reads the file w.npz', """
import numpy as np
def load():
    return np.load('w.npz')
W = load()
def f(): return W['a']
"""),
    "rebinding const in with open": ('a.py', """
K = 5
with open('log.txt', 'w') as h:
    K = h.write('x')
def f(): return K + 1
"""),
    "main call binds needed": ('a.py', """
def main():
    global net
    net = 3
    open('x', 'w').close()
    return 0
main()
def f(): return net + 1
"""),
    "inherit from sibling arg -> C": ('m.py:2', """
from m import B
class C(B): pass
#: m.py
import sys
N = int(sys.argv[1])
class B:
    n = N + 1
"""),
    "tempfile": ('changes files', """
import tempfile
D = tempfile.mkdtemp(dir='.')
def f(): return D + 'x'
"""),
    "argv helper": ('depends on the arg', """
import sys
def get(): return int(sys.argv[1]) if len(sys.argv) > 1 else 4
T = get()
def f(): return T + 1
"""),
}  # fmt: skip
"""Kind -> words of the refusal, and the files."""
