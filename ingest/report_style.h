/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The look of report.html: light and dark as the reader's system says.
 */
#ifndef RIBERA_INGEST_REPORT_STYLE_H
#define RIBERA_INGEST_REPORT_STYLE_H

#define REPORT_STYLE                                                                                                              \
	":root{color-scheme:light dark;--bg:#f6f6f4;--card:#fff;--fg:#1b1c1e;--dim:#5f6268;--rule:#e2e2de;--good:#1a6b3c;"            \
	"--warn:#8a5a00;--c0:#5b6b80;--c1:#3d5fb0;--c2:#1f4fc4;--c3:#1a6d9b;--c4:#0e7468;--c5:#2e7829;--c6:#856300;--c7:#ac4d0c;"      \
	"--c8:#b12f2a;--c9:#8c2983}"                                                                                                  \
	"@media(prefers-color-scheme:dark){:root{--bg:#131416;--card:#1c1e21;--fg:#ececea;--dim:#a2a6ad;--rule:#33363b;--good:#7bd69c;" \
	"--warn:#f0bd5b;--c0:#a9b8cc;--c1:#93b2ff;--c2:#6f9dff;--c3:#62c0ec;--c4:#4fd0bd;--c5:#84d47a;--c6:#e5c04a;--c7:#ffa15e;"       \
	"--c8:#ff8a84;--c9:#ea86e0}}"                                                                                                 \
	"*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}"               \
	"header,main{max-width:1080px;margin:0 auto;padding:0 20px}header{display:flex;flex-wrap:wrap;gap:24px;align-items:center;"    \
	"padding-top:32px;padding-bottom:8px}header img{border-radius:10px;max-width:100%;height:auto;background:var(--rule)}"         \
	"header div{flex:1 1 320px}h1{font-size:30px;line-height:1.2;margin:0 0 6px}header p{margin:0 0 8px;color:var(--dim)}"         \
	"header p.good{color:var(--good);font-weight:600}header p.good:before{content:\"\\2713  \"}nav a{margin-right:14px}"           \
	"a{color:var(--c2)}section{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:18px 20px;"          \
	"margin:16px 0}h2{font-size:18px;margin:0 0 12px}.warn{border-left:5px solid var(--warn)}.warn h2{color:var(--warn)}"          \
	"ul{margin:0;padding-left:20px}.checks{list-style:\"\\2713  \"}.checks li::marker{color:var(--good)}"                          \
	".note{color:var(--dim);margin:10px 0 0;font-size:13.5px}.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;"     \
	"font-variant-numeric:tabular-nums;white-space:nowrap}th,td{text-align:left;padding:6px 12px 6px 0;"                           \
	"border-bottom:1px solid var(--rule);font-size:14px}thead th{color:var(--dim);font-weight:500;font-size:13px;"                 \
	"vertical-align:bottom}tbody tr:last-child>*{border-bottom:0}abbr{text-decoration-style:dotted}code{font-size:13px}"           \
	".bar{position:relative;min-width:140px}.bar i{position:absolute;left:0;top:5px;bottom:5px;background:var(--c2);opacity:.18;"  \
	"border-radius:3px}.bar span{position:relative;padding-left:6px}"                                                             \
	"svg{display:block;width:100%;height:auto;overflow:visible}svg text{font-size:12px;fill:var(--dim)}.grid{stroke:var(--rule)}"  \
	".line{fill:none;stroke-width:2;stroke-linejoin:round}.hint{fill:transparent}.hint:hover{fill:var(--dim);fill-opacity:.14}"    \
	".thin{stroke-width:1.5;opacity:.75}.hull{fill:none;stroke:var(--fg);stroke-width:3.5;stroke-linejoin:round;opacity:.85}"       \
	".rung{fill:var(--card);stroke:var(--fg);stroke-width:3}"                                                                      \
	"svg text.name{font-weight:600}"                                                                                              \
	".s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}.s4{stroke:var(--c4)}"                    \
	".s5{stroke:var(--c5)}.s6{stroke:var(--c6)}.s7{stroke:var(--c7)}.s8{stroke:var(--c8)}.s9{stroke:var(--c9)}"                    \
	"svg text{stroke:none!important}text.s0{fill:var(--c0)!important}text.s1{fill:var(--c1)!important}text.s2{fill:var(--c2)!important}"     \
	"text.s3{fill:var(--c3)!important}text.s4{fill:var(--c4)!important}text.s5{fill:var(--c5)!important}"                          \
	"text.s6{fill:var(--c6)!important}text.s7{fill:var(--c7)!important}text.s8{fill:var(--c8)!important}"                          \
	"text.s9{fill:var(--c9)!important}th.s0{color:var(--c0)}th.s1{color:var(--c1)}th.s2{color:var(--c2)}th.s3{color:var(--c3)}"    \
	"th.s4{color:var(--c4)}th.s5{color:var(--c5)}th.s6{color:var(--c6)}th.s7{color:var(--c7)}th.s8{color:var(--c8)}"               \
	"th.s9{color:var(--c9)}"                                                                                                      \
	"dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:10px 24px;margin:0}dt{color:var(--dim);"        \
	"font-size:13px}dd{margin:0}.strip{display:flex;gap:4px;overflow-x:auto}.strip img{height:240px;border-radius:4px}"            \
	"summary{cursor:pointer;font-weight:600}details .wide{margin-top:12px}details td{font-size:12.5px}"

#endif
