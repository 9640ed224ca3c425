"""The life of a move, walked by a state machine."""

import pytest

pytest.register_assert_rewrite("tests.lifecycle.laws", "tests.lifecycle.machine", "tests.lifecycle.world")
