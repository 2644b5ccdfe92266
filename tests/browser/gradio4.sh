#!/bin/sh
# The tab on the webui's own gradio: makes an environment with it in build/gradio4 and
# runs the test with both.  PYTHON is the interpreter of the tests (default: .venv's).
set -eu
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-.venv/bin/python}
ENV=build/gradio4
[ -x "$ENV/bin/python" ] || "$PYTHON" -m venv "$ENV"
"$ENV/bin/python" -m pip install -q gradio==4.37.2 pydantic==2.10.6 \
	'huggingface-hub<1.0' fastapi==0.112.4 'rich>=12,<15' .
HOT_RELOAD_GRADIO4=$PWD/$ENV/bin/python
export HOT_RELOAD_GRADIO4
exec "$PYTHON" -m pytest tests/browser/test_tab.py "$@"
