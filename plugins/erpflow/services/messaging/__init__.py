"""Messages to people, by mail, SMS and WhatsApp: each sent once, and what became of it kept."""
