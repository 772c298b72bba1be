"""The style sheet of the HTML report: quiet, readable at any width, light and dark."""

CSS = """
:root{color-scheme:light dark;--bg:#f6f6f2;--card:#fff;--ink:#1c2226;--soft:#56616a;--line:#dfe1da;--mark:#1f6f78;
--good:#23734a;--bad:#b0322b;--plain:#5a6672;--core:#2b6cb0;--noc:#b7791f;--static:#7b8794;--host:#97447a;--total:#1c2226;--wash:#eef1ee}
@media(prefers-color-scheme:dark){:root{--bg:#121517;--card:#1a1e21;--ink:#e7eaec;--soft:#a3adb5;--line:#2d3439;--mark:#5cc0c9;
--good:#5fcf94;--bad:#ff8a80;--plain:#a3adb5;--core:#6aa9ef;--noc:#e3ac4e;--static:#98a3ad;--host:#dd8dbd;--total:#e7eaec;--wash:#20262a}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
font-variant-numeric:tabular-nums}
main{max-width:1080px;margin:0 auto;padding:48px 24px 72px}
header p{margin:0;color:var(--soft)}
h1{font-size:2rem;line-height:1.2;font-weight:650;letter-spacing:-.015em;margin:.15em 0 .2em;overflow-wrap:anywhere}
h2{font-size:1.2rem;font-weight:650;letter-spacing:-.005em;margin:0 0 .25em}
h3{font-size:.95rem;font-weight:600;margin:1.6em 0 .4em}
.over{font-size:.82rem;letter-spacing:.08em;text-transform:uppercase}
section{margin-top:44px}
section>p,.lead{color:var(--soft);margin:0 0 1em;max-width:72ch}
.claims{display:grid;gap:12px;grid-template-columns:repeat(auto-fit,minmax(min(100%,190px),1fr));margin-top:28px}
.claim{background:var(--card);border:1px solid var(--line);border-top:3px solid var(--tone);border-radius:8px;padding:14px 16px}
.claim b{display:block;font-size:1.45rem;line-height:1.25;font-weight:650;color:var(--tone);margin:.1em 0 .3em;letter-spacing:-.01em}
.claim span{font-size:.82rem;color:var(--soft)}
.claim p{margin:0;font-size:.86rem;line-height:1.45}
.good{--tone:var(--good)}.bad{--tone:var(--bad)}.plain{--tone:var(--plain)}
.guide{margin:18px 0 0;font-size:.88rem;color:var(--soft);max-width:92ch}.guide b{color:var(--ink);font-weight:600}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:18px 20px}
.card+.card{margin-top:12px}
.wide{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:8px}
table{border-collapse:collapse;width:100%;font-size:.88rem}
th,td{padding:8px 14px;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
tr:last-child td{border-bottom:0}
th{font-weight:600;color:var(--soft);font-size:.8rem;white-space:nowrap}
td.n,th.n{text-align:right;white-space:nowrap}
td.k{font-weight:550;overflow-wrap:break-word;min-width:13ch}
td.t{min-width:22ch}
.tag{display:inline-block;padding:0 8px;border-radius:99px;font-size:.78rem;font-weight:600;color:var(--tone);border:1px solid currentColor;
white-space:nowrap}
.raster{display:flex;flex-wrap:wrap;gap:20px 26px}
figure{margin:0}
figcaption{font-size:.82rem;color:var(--soft);margin-bottom:6px;max-width:260px;
overflow-wrap:anywhere}figcaption b{color:var(--ink);font-weight:600}
svg{display:block;max-width:100%;height:auto}
.panel{fill:var(--wash)}.s1,.s2,.s3{fill:var(--mark)}.s1{opacity:.45}.s2{opacity:.72}.neg{fill:var(--bad)}
.axis{font-size:.75rem;color:var(--soft);margin-top:4px}
.bars{display:grid;grid-template-columns:minmax(6ch,max-content) 1fr max-content;gap:8px 14px;align-items:center;font-size:.88rem}
.bars .name{overflow-wrap:anywhere}.bars .val{text-align:right;color:var(--soft)}
.bar{height:10px;border-radius:5px;background:var(--wash)}
.bar i{display:block;height:100%;min-width:2px;border-radius:5px;background:var(--mark)}
.stack{display:flex;height:22px;border-radius:6px;overflow:hidden;gap:2px}
.stack i{min-width:2px}
.legend{display:flex;flex-wrap:wrap;gap:4px 20px;font-size:.85rem;margin:10px 0 22px;padding:0;list-style:none}
.legend i{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:7px}
.core{background:var(--core)}.noc{background:var(--noc)}.static{background:var(--static)}.host{background:var(--host)}.total{background:var(--total)}
.ranges{display:grid;grid-template-columns:max-content 1fr;gap:10px 16px;align-items:center;font-size:.88rem}
.ranges .val{display:block;color:var(--soft);font-size:.8rem}
.track{position:relative;height:26px;margin-right:10px;background:linear-gradient(var(--line),var(--line)) center/100% 1px no-repeat}
.track i{position:absolute;top:9px;height:8px;border-radius:4px;opacity:.55;min-width:2px}
.track b{position:absolute;top:5px;width:4px;height:16px;margin-left:-2px;border-radius:2px}
.ticks{position:relative;height:18px;margin-right:10px;font-size:.75rem;color:var(--soft)}
.ticks span{position:absolute;transform:translateX(-50%);white-space:nowrap}
.ticks span:first-child{transform:none}.ticks span:last-child{transform:translateX(-100%)}
.split{display:grid;gap:20px 36px;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));align-items:start}
.split h3{margin-top:0}.split .wide{border:0;border-radius:0}
.chips{display:flex;flex-wrap:wrap;gap:24px}
.cell{fill:var(--mark)}.idle{fill:none;stroke:var(--line)}.tile{fill:none;stroke:var(--line)}
.scale{display:inline-block;width:90px;height:8px;border-radius:4px;vertical-align:middle;margin:0 8px;
background:linear-gradient(90deg,color-mix(in srgb,var(--mark) 18%,transparent),var(--mark))}
ul.plainlist{margin:0;padding-left:1.1em;font-size:.9rem}ul.plainlist li{margin:.25em 0;overflow-wrap:anywhere}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:14px 20px;margin:0}
.facts div{border-left:2px solid var(--line);padding-left:10px}
.facts dt{font-size:.8rem;color:var(--soft)}.facts dd{margin:0;font-size:1.05rem;font-weight:600}
.note{font-size:.86rem;color:var(--soft);margin:.8em 0 0}
footer{margin-top:56px;padding-top:16px;border-top:1px solid var(--line);font-size:.82rem;color:var(--soft)}
@media(max-width:640px){main{padding:28px 16px 48px}h1{font-size:1.55rem}section{margin-top:34px}th,td{padding:7px 10px}.card{padding:14px}
.ranges{grid-template-columns:1fr;gap:2px}.ranges .track,.ranges .ticks{margin-bottom:8px}.ranges .none{display:none}
.ranges .val{display:inline;margin-left:10px}}
@media print{body{background:#fff}.card,.claim,.wide{break-inside:avoid}}
"""
