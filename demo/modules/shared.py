"""Options and state that all modules share."""

import argparse
from pathlib import Path

parser = argparse.ArgumentParser(description="A small web UI to try hot_reload on.")
parser.add_argument("--extensions", nargs="+", default=[], help="extensions to load")
parser.add_argument("--listen", action="store_true", help="listen on all addresses")
parser.add_argument("--listen-host", help="the address that --listen means")
parser.add_argument("--listen-port", type=int, help="default: the first from 7860 on")
parser.add_argument("--share", action="store_true", help="make a public link")
parser.add_argument("--user-data-dir", default="user_data", help="where yours are kept")
parser.add_argument("--load-seconds", type=float, default=3, help="the model's load")
args = parser.parse_args()

user_data_dir = Path(args.user_data_dir)
settings = {}  # "<extension>-<parameter>": value

model = None
model_loads = 0
need_restart = False
gradio = {}
