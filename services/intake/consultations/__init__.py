"""Free consultations: who offers them, when, and who has booked one."""
