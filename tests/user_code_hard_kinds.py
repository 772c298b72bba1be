"""More kinds of module level code, in the form of ``user_code_kinds``: where one statement decides what another one gives."""

HARD = {
    "a flag that an import decides": (False, """
try:
    import cupy_nope
    HAS = True
except ImportError:
    HAS = False
def f(): return HAS
"""),
    "a value beside an import": (0.5, """
try:
    import cupy_nope
    DECAY = 0.9
except ImportError:
    DECAY = 0.5
class Net:
    decay = DECAY
def f(): return Net().decay
"""),
    "a flag that is taken back": (False, """
FAST = True
try:
    import cupy_nope
except ImportError:
    FAST = False
def f(): return FAST
"""),
    "a flag that stays": ([False, 1], """
FAST, WIDE = False, 1
try:
    import cupy_nope
    FAST = True
    WIDE = 2
except ImportError:
    pass
def f(): return [FAST, WIDE]
"""),
    "a handler that changes": ({"b": "torch"}, """
CFG = {'b': 'cupy'}
try:
    import cupy_nope
except ImportError:
    CFG['b'] = 'torch'
def f(): return CFG
"""),
    "else of a try": (2, """
K = 1
try:
    import json
except ImportError:
    print('no')
else:
    K = 2
def f(): return K
"""),
    "else of a try that fails": (1, """
K = 1
try:
    int('no')
except ValueError:
    print('no')
else:
    K = 2
def f(): return K
"""),
    "an environment variable": (False, """
import os
try:
    x = int(os.environ['NOPE_T'])
    USE = True
except KeyError:
    USE = False
def f(): return USE
"""),
    "suppressed": (False, """
import contextlib
FAST = False
with contextlib.suppress(ImportError):
    import cupy_nope
    FAST = True
def f(): return FAST
"""),
    "suppressed by a call": (3, """
from contextlib import suppress
K = 3
with suppress(ValueError):
    print('tried')
    int('no')
    K = 4
def f(): return K
"""),
    "an assertion": ('b', """
try:
    assert 1 == 2
    M = 'a'
except AssertionError:
    M = 'b'
def f(): return M
"""),
    "raised where it is tried": ('b', """
import sys
try:
    if sys.maxsize > 0:
        raise RuntimeError
    M = 'a'
except RuntimeError:
    M = 'b'
def f(): return M
"""),
    "what follows what is needed": (5, """
try:
    K = 5
    raise SystemExit(open('x', 'w').write('y'))
except OSError:
    pass
def f(): return K
"""),
    "a name of two": (3, """
b = 1
a, b = 2, 3
def g(): return a
g()
def f(): return a and b
"""),
    "an import bound twice": ([0.0, 1.0], """
from math import sin as act
class A: fn = staticmethod(act)
from math import cos as act
def f(): return [A.fn(0), act(0)]
"""),
    "a class body that appends": ([0, 1, 2], """
LOG = []
class A:
    for i in range(3):
        LOG.append(i)
def f(): return LOG
"""),
    "counted by defaults": (2, """
N = [0]
def bump():
    N[0] += 1
    return N[0]
def g(a=bump()): return a
def h(a=bump()): return a
def f(): return h()
"""),
    "counted by an iterator": (1, """
import itertools
ids = itertools.count()
class A: k = next(ids)
class B: k = next(ids)
def f(): return B.k
"""),
    "seeded": (0.23796462709189137, """
import random
random.seed(3)
def noise(): return open('x', 'w')
P = random.random()
def f(): return P
"""),
    "words like an import": (1, '''
"""Spikes go
from ... to the end, and
from .. to here.
"""
def f(): return 1
'''),
    "a list of classes": ([0.5, 0.5], """
class A: th = 1.0
class B: th = 1.0
KINDS = [A, B]
for kind in KINDS:
    setattr(kind, 'th', .5)
def f(): return [A.th, B.th]
"""),
    "another file's constant is set": ([8, 8, 8], """
import conf
conf.T = 8
def f(): return [conf.T, conf.U, conf.g()]
#: conf.py
T = 4
U = T * 2
def g(): return T
"""),
    "another file's class is set": (0.5, """
from net import Net
import neu
neu.LIF.th = .5
def f(): return Net().th
#: net.py
from neu import LIF
class Net:
    def __init__(self): self.th = LIF.th
#: neu.py
class LIF:
    th = 1.0
"""),
    "another file sets a third one's class": (0.5, """
import patches
from neu import LIF
def f(): return LIF.th
#: patches.py
from neu import LIF
LIF.th = 0.5
open('x', 'w')
#: neu.py
class LIF:
    th = 1.0
"""),
    "a function sets a default": ("torch.float64", """
import torch
def setup(): torch.set_default_dtype(torch.float64)
setup()
def f(): return str(torch.zeros(1).dtype)
"""),
    "numpy is seeded": ([2, 8, 4, 9, 1], """
import numpy as np
np.random.seed(0)
PERM = np.random.permutation(10).tolist()
def f(): return PERM[:5]
"""),
    "what is known is asked": (["B", True, 2, 3], """
class A:
    def __init__(self): self.k = type(self).__name__
class B(A):
    def __init__(self, mem=None):
        super().__init__()
        self.mem = 2 if mem is None else mem
def f():
    b = B()
    match b.mem:
        case 2: return [b.k, isinstance(b, A) and b.k is not None is not True, b.mem, 3]
"""),
    "a package's function of its module's name": (3, """
from pkg import net
def f(): return net()
#: pkg/__init__.py
from .net import net
#: pkg/net.py
def net(): return 3
"""),
    "modules that register themselves": (["A", "B"], """
from registry import R
import models.a
import models.b
def f(): return sorted(R)
#: registry.py
R = {}
def reg(c):
    R[c.__name__] = c
    return c
#: models/__init__.py
#: models/a.py
from registry import reg
@reg
class A: pass
#: models/b.py
from registry import reg
@reg
class B: pass
"""),
    "tried one after the other": ("json", """
for mod in ('nope_a', 'json', 'nope_b'):
    try:
        M = __import__(mod)
        break
    except ImportError:
        M = None
def f(): return M.__name__
"""),
}  # fmt: skip
SAID = {
    "a class's own setter": ("a.py:5 `Net.configure(8)`, which is given `Net`", """
class Net:
    T = 4
    @classmethod
    def configure(cls, T): cls.T = T
Net.configure(8)
def f(): return Net.T
"""),
    "another file's setter": ("`conf.setup(8)`, which is given `conf`", """
import conf
conf.setup(8)
def f(): return conf.T
#: conf.py
T = 4
def setup(t):
    global T
    T = t
"""),
    "a function of another file": ("`setup(8)`, which may change what its own file defines", """
from conf import setup, get
setup(8)
def f(): return get()
#: conf.py
T = 4
def setup(t):
    global T
    T = t
def get(): return T
"""),
    "what another file has parsed is changed": ("`args.T = 8`, which is given `args`", """
from conf import args
args.T = 8
def f(): return 1
#: conf.py
import argparse
args = argparse.ArgumentParser().parse_args()
"""),
    "a default beside training": ("`main()`, which sets a default for all that follows", """
import torch
def main():
    torch.set_default_dtype(torch.float64)
    torch.save({}, 'net.pt')
main()
def f(): return str(torch.zeros(1).dtype)
"""),
    "a draw between": ("a.py:3 `X = rng.random(5)`, which draws from `rng` before line 4 does", """
import numpy as np
rng = np.random.default_rng(0)
X = rng.random(5)
MASK = rng.random(3)
def f(): return MASK
"""),
    "weights drawn between": ("`net = Net()`, which draws from `torch` before line 8 does", """
import torch
torch.manual_seed(0)
class Net(torch.nn.Module):
    def __init__(self): self.fc = torch.nn.Linear(2, 2)
net = Net()
loss = torch.nn.MSELoss()
device = torch.device('cpu')
MASK = torch.rand(3)
def f(): return MASK
"""),
    "a training in a try": ("`train(net)`, which is given `net`", """
class Net: k = 1
net = Net()
def train(n):
    open('x', 'w')
    n.k = 2
try:
    for epoch in range(2):
        train(net)
        best = epoch
except KeyboardInterrupt:
    print('x')
def f(): return net.k
"""),
    "another folder, by a function": ("`go()`, which changes the folder", """
import os
def go(): os.chdir('sub')
go()
def f(): return 1
#: sub/x.txt
"""),
    "another folder": ("`os.chdir('sub')`, which changes the folder", """
import os
os.chdir('sub')
def f(): return 1
#: sub/x.txt
"""),
}  # fmt: skip
"""Kind -> what is said of what was left out, and the files."""
HARD_REFUSES = {
    "a file beside a flag": ('a.py:2', """
try:
    LR = float(open('lr.txt').read())
    FOUND = True
except FileNotFoundError:
    FOUND = False
def f(): return 1 if FOUND else 2
"""),
    "whether it is None": ("a.py:2: `ckpt = sys.argv[5]", """
import sys
ckpt = sys.argv[5] if len(sys.argv) > 5 else None
def f(): return 1 if ckpt is not None else 2
"""),
    "whether what it was given is None": ('a.py:2', """
import json
CFG = json.load(open('c.json'))
class Net:
    def __init__(self, cfg=None): self.cfg = cfg
    def k(self): return 2 if None is self.cfg else 3
def f(): return Net(CFG).k()
"""),
    "what type it is": ('a.py:2', """
import json
CFG = json.load(open('c.json'))
def f(): return CFG if isinstance(CFG, dict) else 4
"""),
    "what class it is of": ('a.py:2', """
import json
CFG = json.load(open('c.json'))
def f(): return type(CFG).__name__
"""),
    "whether it can be called": ('a.py:2', """
import json
CFG = json.load(open('c.json'))
def f(): return 1 if callable(CFG) else 2
"""),
    "which case it is": ('a.py:2', """
import json
CFG = json.load(open('c.json'))
def f():
    match CFG:
        case {'T': T}: return T
        case _: return 4
"""),
    "a key of a table": ('a.py:2', """
import json
KIND = json.load(open('c.json'))
def f(): return {'a': 1}.get(KIND, 2)
"""),
    "a database": ('opens a database', """
import sqlite3
def made(): return sqlite3.connect('x.db')
DB = made()
def f(): return DB.total_changes
"""),
    "times of files": ('changes files', """
import os
class K:
    def go(self): os.utime('a.py', (1, 1))
K = K().go()
def f(): return K + 1
"""),
    "left to the end": ('when the program ends', """
import atexit
@atexit.register
def f(): open('x', 'w')
"""),
    "saved by a method": ('writes the file net.pt', """
import torch
class Trainer:
    def fit(self, w):
        torch.save(w + 1, 'net.pt')
        return w
w = Trainer().fit(torch.zeros(2))
def f(): return w.tolist()
#: net.pt
old
"""),
    "saved by a constructor": ('writes the file net.pt', """
import torch
class Net(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 2)
        torch.save(self.state_dict(), 'net.pt')
net = Net()
def f(): return net.weight
#: net.pt
old
"""),
    "saved by a lambda": ('writes the file net.pt', """
import torch
keep = lambda w: (torch.save(w, 'net.pt'), w)[1]
w = keep(torch.zeros(2))
def f(): return w.tolist()
#: net.pt
old
"""),
    "saved under another name": ('writes the file net.pt', """
from torch import save as dump, zeros
def made():
    dump(zeros(2), 'net.pt')
    return 3
w = made()
def f(): return w + 1
#: net.pt
old
"""),
    "saved by a decorator": ('writes the file net.pt', """
import torch
class Deco:
    def __call__(self, function):
        torch.save(torch.zeros(1), 'net.pt')
        return function
deco = Deco()
@deco
def f(): return 1
#: net.pt
old
"""),
    "saved by a neighbour": ('tr.py:4', """
from tr import fit
w = fit()
def f(): return w.tolist()
#: tr.py
import torch
def fit():
    w = torch.zeros(2)
    torch.save(w, 'net.pt')
    return w
#: net.pt
old
"""),
    "saved by what imports torch itself": ('writes the file net.pt', """
class K:
    def go(self):
        import torch
        torch.save({}, 'net.pt')
k = K().go()
def f(): return k + 1
#: net.pt
old
"""),
    "saved as TorchScript": ('writes the file w.jit', """
import torch
import warnings
warnings.simplefilter('ignore')
class K:
    def go(self): torch.jit.script(torch.nn.ReLU()).save('w.jit')
k = K().go()
def f(): return k + 1
"""),
    "saved by Rust": ('writes the file net.safetensors', """
import torch
from safetensors.torch import save_file
class K:
    def go(self): save_file({'a': torch.zeros(2)}, 'net.safetensors')
k = K().go()
def f(): return k + 1
#: net.safetensors
old
"""),
    "saved as HDF5": ('writes the file w.h5', """
import h5py
class K:
    def go(self): h5py.File('w.h5', 'w').close()
k = K().go()
def f(): return k + 1
"""),
}  # fmt: skip
