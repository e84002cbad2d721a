"""The blind game: what an auditor says of tunes whose truth is sealed, and how often that is right."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.auditing.game.lead_steps import LEADING_TOOLS
    from mindscope.auditing.game.person import GameMove, GameSeat, MoveSpec, SeatSpec, make_move, serve_seat
    from mindscope.auditing.game.play import (
        AUDIT_COLUMNS,
        RATE_COLUMNS,
        PlayGameSpec,
        audit_cells,
        audit_target,
        game_report,
        open_session,
        outcome_of,
        play_game,
        rate_cells,
        score_notes,
    )
    from mindscope.auditing.game.protocol import OfflineAuditor
    from mindscope.auditing.game.reader import AuditLead, read_texts
    from mindscope.auditing.game.results import AuditNotes, GameReport, PersonGame, RateRow, ScoredAudit
    from mindscope.auditing.game.use import ListToolsSpec, ToolList, UseToolSpec, list_tools, use_tool


__all__ = [
    "PlayGameSpec",
    "play_game",
    "open_session",
    "audit_target",
    "score_notes",
    "outcome_of",
    "OfflineAuditor",
    "LEADING_TOOLS",
    "AuditLead",
    "read_texts",
    "AuditNotes",
    "ScoredAudit",
    "RateRow",
    "GameReport",
    "game_report",
    "RATE_COLUMNS",
    "AUDIT_COLUMNS",
    "rate_cells",
    "audit_cells",
    "SeatSpec",
    "GameMove",
    "MoveSpec",
    "GameSeat",
    "make_move",
    "serve_seat",
    "PersonGame",
    "UseToolSpec",
    "ListToolsSpec",
    "ToolList",
    "use_tool",
    "list_tools",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
